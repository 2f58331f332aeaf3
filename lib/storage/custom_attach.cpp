// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/custom_impl.hpp"
#include "system/shift.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr const char* kOnDisk = "volatile.idmap.last";
constexpr const char* kWanted = "volatile.idmap.next";

std::string entry_of(const api::StringMap& config, const char* key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

} // namespace

AttachedVolume CustomVolumesImpl::attach(const std::string& pool, const std::string& project, const std::string& name,
                                         const std::string& instance, const IdMap& map) {
    auto row = need_custom(pool, project, name);
    const auto guards = lock({&row});
    row = need_custom(pool, project, name);
    if (row.block) throw Error{ErrorCode::InvalidArgument, "Custom block volumes cannot be used on containers"};
    const bool shifted = text::is_true(entry_of(row.config, "security.shifted"));
    finish_shifts(row);
    if (!text::is_true(entry_of(row.config, "security.unmapped"))) {
        try {
            shift_volume(row, shifted ? IdMap{} : map, instance);
        } catch (Error& error) {
            error.add_context(fmt::format("Failed shifting storage volume {} of type \"custom\" on storage pool {}",
                                          text::quote(name), text::quote(pool)));
            throw;
        }
    }
    const bool mount_mapped = shifted && !map.ranges.empty();
    if (mount_mapped && !pools_.idmapped_mounts(pool))
        throw Error{ErrorCode::Unsupported, "Required idmapping abilities not available"};
    return {.content = access_.open_content(pool, custom_volume(row)), .shifted = mount_mapped};
}

/// The files get owners of the map that asks, if nobody runs with others.
void CustomVolumesImpl::shift_volume(Row& row, const IdMap& to, const std::string& instance) {
    auto from = IdMap::parse(entry_of(row.config, kOnDisk));
    if (from == to) {
        if (entry_of(row.config, kOnDisk).empty() || entry_of(row.config, kWanted) != to.json()) {
            const api::StringMap changes{{kOnDisk, to.json()}, {kWanted, to.json()}};
            global_.write([&](db::Transaction& tx) { volumes_.set_config(tx, row.id, changes); });
        }
        return;
    }
    for (const auto& other : running_users(row))
        if (other != instance)
            throw Error{ErrorCode::BadState,
                        fmt::format("Idmaps of container {} and storage volume {} are not identical",
                                    text::quote(other), text::quote(row.name))};
    for (const auto& next : shift_route(from, to)) {
        const nlohmann::json data{{"pool", row.pool}, {"from", from.json()}, {"to", next.json()}};
        const auto intent = intents_.begin(intent::kShift, row.project, row.name, data.dump());
        shift_stretch(row, intent, from, next);
        from = next;
    }
}

/// What fails here goes on from where it stopped, the next time.
void CustomVolumesImpl::shift_stretch(Row& row, std::int64_t intent, const IdMap& from, const IdMap& to) {
    shift_tree(access_.open_content(row.pool, custom_volume(row)).dir, from, to);
    const api::StringMap changes{{kOnDisk, to.json()}, {kWanted, to.json()}};
    global_.write([&](db::Transaction& tx) { volumes_.set_config(tx, row.id, changes); });
    for (const auto& [key, value] : changes)
        row.config[key] = value;
    intents_.end(intent);
}

void CustomVolumesImpl::finish_shifts(Row& row) {
    for (const auto& intent : intents_.pending(intent::kShift)) {
        if (intent.project != row.project || intent.entity != row.name) continue;
        const auto data = nlohmann::json::parse(intent.data, nullptr, false);
        const auto value = [&](const char* key) { return data.is_object() ? data.value(key, "") : std::string{}; };
        if (value("pool") != row.pool) continue;
        shift_stretch(row, intent.id, IdMap::parse(value("from")), IdMap::parse(value("to")));
        log_.warning("Finished an interrupted change of the id map", {{"pool", row.pool}, {"volume", row.name}});
    }
}

} // namespace lxdcore::storage
