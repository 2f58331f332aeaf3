// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lxdcore::helper {

constexpr int kUids = 1, kGids = 2;

/// The ids on disk of a stopped instance and those inside. Empty: they are the same. Reentrant.
class IdTable {
public:
    IdTable() = default;
    /// [[kind, host, ns, count]…]; kind: 1 uids, 2 gids, 3 both
    explicit IdTable(const nlohmann::json& rows);
    /// Ids inside for ids on disk; what is not mapped is "nobody".
    std::int64_t inside(int kind, std::int64_t disk) const;
    /// Nothing for an id that the table does not have.
    std::optional<std::uint32_t> on_disk(int kind, std::int64_t id) const;

private:
    struct Row {
        int kind;
        std::int64_t host, ns, count;
    };
    std::vector<Row> rows_;
};

} // namespace lxdcore::helper
