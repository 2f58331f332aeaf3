// SPDX-License-Identifier: Apache-2.0
#include "instance/manager.hpp"
#include "util/text.hpp"
#include <algorithm>

namespace lxdcore::instance {

namespace {

constexpr std::int64_t kIsolatedSize = 65536;

std::string entry_of(const api::StringMap& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

std::int64_t first_host_id(const IdMap& map) { return map.ranges.empty() ? 0 : map.ranges.front().host; }

bool overlap(const IdSlot& a, const IdSlot& b) { return a.offset < b.offset + b.size && b.offset < a.offset + a.size; }

} // namespace

/// The map for the next start (R12): none when privileged, the whole server map, or a part of its own.
IdMap Manager::next_idmap(const Loaded& instance) const {
    if (instance.privileged()) return {};
    const auto etc = Dir::open("/etc");
    const auto server =
        server_idmap(etc.read_if_exists("subuid").value_or(""), etc.read_if_exists("subgid").value_or(""));
    if (!text::is_true(instance.value("security.idmap.isolated"))) return server;

    const auto size_text = instance.value("security.idmap.size");
    const auto size = size_text.empty() || size_text == "auto" ? kIsolatedSize : text::parse_int(size_text).value_or(0);
    const auto server_first = first_host_id(server);
    if (const auto base = instance.value("security.idmap.base"); !base.empty()) {
        const auto first = text::parse_int(base);
        return slice(server, first.value_or(0) - server_first, size);
    }
    const auto guard = id_slots_.lock();
    auto taken = *guard;
    taken.erase(instance.ref());
    for (const auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const InstanceRef ref{row.project, row.name};
        if (ref == instance.ref() || entry_of(row.config, "volatile.idmap.base") == "0") continue;
        const auto map = IdMap::parse(entry_of(row.config, "volatile.idmap.next"));
        if (!map.ranges.empty())
            taken[ref] = IdSlot{.offset = first_host_id(map) - server_first, .size = map.ranges.front().count};
    }
    std::vector<IdSlot> slots;
    for (const auto& [ref, slot] : taken)
        slots.push_back(slot);
    // Keep what the instance had as long as nobody else has it.
    const auto own = text::parse_int(entry_of(instance.row.config, "volatile.idmap.base")).value_or(0);
    IdSlot mine{own - server_first, size};
    const auto clashes = [&](const IdSlot& slot) { return overlap(mine, slot); };
    const bool usable = own > 0 && mine.offset >= kIsolatedSize && mine.offset + size <= map_size(server);
    if (!usable || std::any_of(slots.begin(), slots.end(), clashes)) mine.offset = free_offset(server, size, slots);
    (*guard)[instance.ref()] = mine;
    return slice(server, mine.offset, size);
}

std::string Manager::idmap_base(const Loaded& instance, const IdMap& map) const {
    if (map.ranges.empty() || !text::is_true(instance.value("security.idmap.isolated"))) return "0";
    return std::to_string(first_host_id(map));
}

IdMap Manager::disk_idmap(const Loaded& instance) const {
    return IdMap::parse(entry_of(instance.row.config, "volatile.last_state.idmap"));
}

} // namespace lxdcore::instance
