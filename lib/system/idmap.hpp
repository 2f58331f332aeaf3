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

/// Ids that both the uid and the gid range of @p map have.
std::int64_t map_size(const IdMap& map);
/// @p size ids from @p offset of the server's map. @throws Error InvalidArgument when it does not reach that far
IdMap slice(const IdMap& server, std::int64_t offset, std::int64_t size);
/// A part of the server's map that an isolated instance holds.
struct IdSlot {
    std::int64_t offset = 0, size = 0;
};
/// The lowest free offset for @p size ids beside @p taken; the first 65536 are left to instances that are not isolated.
/// @throws Error BadState when there is no room
std::int64_t free_offset(const IdMap& server, std::int64_t size, std::vector<IdSlot> taken);

} // namespace lxdcore
