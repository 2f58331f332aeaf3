// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "instance/lxc/raw_lxc.hpp"
#include "instance/manager.hpp"
#include "system/idmap_raw.hpp"
#include "system/shift.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::int64_t kIsolatedSize = 65536;
constexpr const char* kShift = "instance-shift";
constexpr const char* kOnDisk = "volatile.last_state.idmap";

std::string entry_of(const api::StringMap& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

std::int64_t first_host_id(const IdMap& map, bool uid) {
    for (const auto& range : map.ranges)
        if (uid ? range.uid : range.gid) return range.host;
    return 0;
}

bool overlap(const IdSlot& a, const IdSlot& b) { return a.offset < b.offset + b.size && b.offset < a.offset + a.size; }

[[noreturn]] void no_room() { throw Error{ErrorCode::BadState, "Not enough uid/gid available for the container"}; }

/// What security.idmap.base asks for; whether root may use it is seen at the start, as newuidmap would.
IdMap pinned(std::int64_t base, std::int64_t size) {
    if (base <= 0 || size <= 0 || base > 0xffffffff - size) no_room();
    return {.ranges = {{.uid = true, .gid = false, .host = base, .ns = 0, .count = size},
                       {.uid = false, .gid = true, .host = base, .ns = 0, .count = size}}};
}

/// The host ids of @p map as parts of the server's.
std::vector<IdSlot> slots_of(const IdMap& map, const IdMap& server) {
    std::vector<IdSlot> out;
    for (const auto& range : map.ranges) {
        if (range.uid) out.push_back({range.host - first_host_id(server, true), range.count});
        if (range.gid) out.push_back({range.host - first_host_id(server, false), range.count});
    }
    return out;
}

bool whole_server(const IdMap& map, const IdMap& server) {
    std::int64_t uids = 0;
    for (const auto& range : map.ranges)
        if (range.uid) uids += range.count;
    return uids >= map_size(server);
}

IdMap with_own_lines(const Loaded& instance, const IdMap& server, const IdMap& map) {
    auto out = with_raw_idmap(map, server, instance.value("raw.idmap"));
    for (const auto& [key, value] : parse_raw_lxc(instance.value("raw.lxc")))
        if (key == "lxc.idmap") out = with_lxc_idmap(std::move(out), server, value);
    return out;
}

} // namespace

/// The map for the next start (R12): none when privileged, the whole server map, or a part of its own.
Manager::NextMap Manager::next_idmap(const Loaded& instance) const {
    if (instance.privileged()) return {};
    const auto etc = Dir::open("/etc");
    const auto server =
        server_idmap(etc.read_if_exists("subuid").value_or(""), etc.read_if_exists("subgid").value_or(""));
    const bool isolated = text::is_true(instance.value("security.idmap.isolated"));
    const auto base = isolated ? isolated_idmap(instance, server) : server;
    return {.map = with_own_lines(instance, server, base), .base = isolated ? first_host_id(base, true) : 0};
}

/// Nobody else's ids: those of all rows, of what runs (until it stops, whatever comes next) and of changes under way.
std::vector<IdSlot> Manager::taken_slots(const InstanceRef& but, const IdMap& server) const {
    std::vector<IdSlot> out;
    const auto note = [&](const std::string& json) {
        for (const auto& slot : slots_of(IdMap::parse(json), server))
            out.push_back(slot);
    };
    for (const auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const InstanceRef ref{row.project, row.name};
        if (ref == but) continue;
        if (entry_of(row.config, "volatile.idmap.base") != "0") note(entry_of(row.config, "volatile.idmap.next"));
        const auto running = runtime_.find(ref);
        if (running && !whole_server(running->idmap, server)) note(running->idmap.json());
    }
    return out;
}

IdMap Manager::isolated_idmap(const Loaded& instance, const IdMap& server) const {
    const auto size_text = instance.value("security.idmap.size");
    const auto size = size_text.empty() ? kIsolatedSize : text::parse_int(size_text).value_or(0);
    const auto server_first = first_host_id(server, true);
    const auto guard = id_slots_.lock();
    if (const auto text = instance.value("security.idmap.base"); !text.empty()) {
        const auto first = text::parse_int(text).value_or(0);
        auto map = pinned(first, size);
        (*guard)[instance.ref()] = IdSlot{.offset = first - server_first, .size = size};
        return map;
    }
    auto slots = taken_slots(instance.ref(), server);
    for (const auto& [ref, slot] : *guard)
        if (ref != instance.ref()) slots.push_back(slot);
    // Keep what the instance had as long as nobody else has it.
    const auto own = text::parse_int(entry_of(instance.row.config, "volatile.idmap.base")).value_or(0);
    IdSlot mine{own - server_first, size};
    const auto clashes = [&](const IdSlot& slot) { return overlap(mine, slot); };
    const bool usable = own > 0 && mine.offset >= kIsolatedSize && mine.offset + size <= map_size(server);
    if (!usable || std::any_of(slots.begin(), slots.end(), clashes)) mine.offset = free_offset(server, size, slots);
    const auto map = slice(server, mine.offset, size);
    (*guard)[instance.ref()] = mine;
    return map;
}

/// Its row says it now.
void Manager::release_slot(const InstanceRef& ref) const { id_slots_.lock()->erase(ref); }

void Manager::check_idmap(const IdMap& map) const {
    const auto etc = Dir::open("/etc");
    check_delegated(map, etc.read_if_exists("subuid").value_or(""), etc.read_if_exists("subgid").value_or(""));
}

IdMap Manager::disk_idmap(const Loaded& instance) const { return IdMap::parse(entry_of(instance.row.config, kOnDisk)); }

/// Brings the files of a stopped instance to the ids of @p to. The caller holds the claim.
void Manager::shift_root(Loaded& instance, const IdMap& to) {
    finish_shifts(instance);
    auto from = disk_idmap(instance);
    if (from == to) return;
    if (text::is_true(instance.value("security.protection.shift")))
        throw Error{ErrorCode::Forbidden,
                    "Failed to handle idmapped storage: Container is protected against filesystem shifting"};
    claims_.wait_unshared(instance.ref(), kCopyPatience);
    for (const auto& next : shift_route(from, to)) {
        const nlohmann::json data{{"from", from.json()}, {"to", next.json()}};
        shift_stretch(instance, intents_.begin(kShift, instance.row.project, instance.row.name, data.dump()), from,
                      next);
        from = next;
    }
}

/// What fails here goes on from where it stopped, the next time.
void Manager::shift_stretch(Loaded& instance, std::int64_t intent, const IdMap& from, const IdMap& to) {
    const auto volume = s_.storage.open_instance(instance.row.project, instance.row.name);
    shift_tree(volume.dir.dir("rootfs"), from, to);
    set_config(instance, {{kOnDisk, to.json()}});
    instance.row.config[kOnDisk] = to.json();
    intents_.end(intent);
}

void Manager::finish_shifts(Loaded& instance) {
    for (const auto& intent : intents_.pending(kShift)) {
        if (intent.project != instance.row.project || intent.entity != instance.row.name) continue;
        const auto data = nlohmann::json::parse(intent.data, nullptr, false);
        const auto map = [&](const char* key) { return IdMap::parse(data.is_object() ? data.value(key, "") : ""); };
        shift_stretch(instance, intent.id, map("from"), map("to"));
        s_.log.warning("Finished an interrupted change of the id map", {{"instance", instance.row.name}});
    }
}

} // namespace lxdcore::instance
