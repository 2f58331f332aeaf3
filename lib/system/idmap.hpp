// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lxdcore {

/// One line of an id map: @p count ids from @p ns inside are the ids from @p host on the host.
struct IdRange {
    bool uid = true, gid = true;
    std::int64_t host = 0, ns = 0, count = 0;
    bool operator==(const IdRange&) const = default;
};

/// The id map of an instance; empty for a privileged one. A value.
struct IdMap {
    std::vector<IdRange> ranges;
    bool operator==(const IdMap&) const = default;

    std::optional<std::int64_t> host_uid(std::int64_t ns) const;
    std::optional<std::int64_t> host_gid(std::int64_t ns) const;
    std::optional<std::int64_t> ns_uid(std::int64_t host) const;
    std::optional<std::int64_t> ns_gid(std::int64_t host) const;
    /// LXD's form in volatile.idmap.*: [{"Isuid":true,"Isgid":false,"Hostid":1000000,"Nsid":0,"Maprange":1000000000},…]
    std::string json() const;
    static IdMap parse(const std::string& json);
};

/// The server's map: root's (or "lxd"'s) ranges in @p subuid and @p subgid as LXD picks them. @throws Error BadState
/// when there is no usable range (never falls back to the host's own ids, R12).
IdMap server_idmap(const std::string& subuid_text, const std::string& subgid_text);

} // namespace lxdcore
