// SPDX-License-Identifier: Apache-2.0
#include "helper/id_table.hpp"

#include <nlohmann/json.hpp>

namespace lxdcore::helper {

namespace {

constexpr std::int64_t kNobody = 65534;

} // namespace

IdTable::IdTable(const nlohmann::json& rows) {
    for (const auto& row : rows)
        rows_.push_back({row.at(0).get<int>(), row.at(1).get<std::int64_t>(), row.at(2).get<std::int64_t>(),
                         row.at(3).get<std::int64_t>()});
}

std::int64_t IdTable::inside(int kind, std::int64_t disk) const {
    for (const auto& row : rows_)
        if ((row.kind & kind) != 0 && disk >= row.host && disk - row.host < row.count) return row.ns + disk - row.host;
    return rows_.empty() ? disk : kNobody;
}

std::optional<std::uint32_t> IdTable::on_disk(int kind, std::int64_t id) const {
    for (const auto& row : rows_)
        if ((row.kind & kind) != 0 && id >= row.ns && id - row.ns < row.count)
            return static_cast<std::uint32_t>(row.host + id - row.ns);
    if (!rows_.empty() || id < 0 || id >= UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(id);
}

} // namespace lxdcore::helper
