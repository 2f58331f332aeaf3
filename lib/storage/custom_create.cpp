// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "config/volume_keys.hpp"
#include "operation/operation_types.hpp"
#include "operation/volume_operation_types.hpp"
#include "storage/block_content.hpp"
#include "storage/custom_impl.hpp"
#include "storage/manager_impl.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

bool only_filesystems(std::string_view key) { return key.starts_with("security."); }

std::int64_t size_of(const api::StringMap& config) {
    const auto it = config.find("size");
    return it == config.end() ? 0 : text::parse_bytes(it->second);
}

bool is_block_content(const std::string& content_type) {
    if (content_type.empty() || content_type == "filesystem") return false;
    if (content_type == "block") return true;
    throw Error{ErrorCode::InvalidArgument, "Invalid volume content type name"};
}

std::string name_on_disk(const db::StorageVolumeRow& row) {
    return row.kind == db::VolumeKind::Custom ? custom_name(row.project, row.name) : volume_name(row.project, row.name);
}

} // namespace

void check_volume_config(const db::StorageVolumeRow& row, const std::string& driver, const api::StringMap& config) {
    const auto name = text::quote(name_on_disk(row));
    const bool custom = row.kind == db::VolumeKind::Custom;
    for (const auto& [option, value] : config) {
        if (option.starts_with("user.")) names::check_config_key(option);
        const auto* key = config::find_volume_key(driver, option);
        const bool of_driver = config::find(config::volume_keys(), option) == nullptr;
        const bool known = key != nullptr && !(row.block && only_filesystems(option)) &&
                           (custom || of_driver || option == "size" || option.starts_with("user."));
        if (!known)
            throw Error{ErrorCode::Internal,
                        fmt::format("Invalid option for volume {} option {}", name, text::quote(option))};
        if (!custom && option == "size")
            throw Error{ErrorCode::Internal, "Volume \"size\" property is not valid for volume type"};
        try {
            if (!option.starts_with("user.") && names::has_control(value))
                throw Error{ErrorCode::Internal, "control character"};
            if (!value.empty() && key->validate) key->validate(value);
        } catch (const Error& error) {
            throw Error{ErrorCode::Internal, fmt::format("Invalid value for volume {} option {}: {}", name,
                                                         text::quote(option), error.what())};
        }
    }
}

/// LXD keeps white space out of names of snapshots, and lets "..", which is none.
void check_snapshot_name(const std::string& name) {
    if (name.find('/') != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "Storage name cannot contain \"/\""};
    if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return std::isspace(c) != 0; }))
        throw Error{ErrorCode::InvalidArgument, "Storage name cannot contain white space"};
    names::check_volume(name);
    if (name.front() == '.') throw Error{ErrorCode::InvalidArgument, "Invalid storage volume snapshot name"};
}

CustomVolumesImpl::Guards CustomVolumesImpl::lock(std::initializer_list<const Row*> rows) const {
    std::vector<std::string> keys;
    for (const auto* row : rows)
        keys.push_back(fmt::format("volumes/{}/{}/{}", row->pool, row->project, row->name));
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    Guards guards;
    for (const auto& key : keys)
        guards.push_back(locks_.lock(key));
    return guards;
}

void CustomVolumesImpl::fill_defaults(Row& row) const {
    const auto pool = pools_.get(row.pool);
    for (const auto& [key, value] : volume_defaults(pool.config, row.kind, row.block))
        if (!value.empty() && config::find_volume_key(pool.driver, key) != nullptr) row.config.emplace(key, value);
    access_.driver(row.pool)->complete_volume(row.config, row.block);
}

void CustomVolumesImpl::check_config(const Row& row, const api::StringMap& config) const {
    check_volume_config(row, pools_.get(row.pool).driver, config);
}

void CustomVolumesImpl::require_free(const Row& row) const {
    if (find_row(row.pool, row.project, row.name))
        throw Error{ErrorCode::AlreadyExists, "Volume by that name already exists"};
}

OperationPtr CustomVolumesImpl::create(const std::string& pool, const std::string& project,
                                       const api::StorageVolumesPost& request) {
    names::check_volume(request.name);
    Row row{.pool = pool,
            .project = project,
            .name = request.name,
            .kind = db::VolumeKind::Custom,
            .description = request.description,
            .block = is_block_content(request.content_type),
            .config = request.config};
    (void)pools_.get(pool);
    const auto& source = request.source;
    const auto there = find_row(pool, project, request.name);
    if (there && !source.refresh) throw Error{ErrorCode::AlreadyExists, "Volume by that name already exists"};
    std::erase_if(row.config, [](const auto& item) { return item.second.empty(); });
    if (source.type.empty() || (source.type == "copy" && source.name.empty())) {
        create_empty(std::move(row));
        return nullptr;
    }
    if (source.type == "migration")
        throw Error{ErrorCode::Unsupported, "Volumes cannot be received from other servers"};
    if (source.type != "copy")
        throw Error{ErrorCode::InvalidArgument, fmt::format("Unknown source type {}", text::quote(source.type))};
    return operations_.start({.type = kVolumeCopy, .project = project},
                             [this, row, source, there](OperationContext& op) {
                                 if (there)
                                     refresh(*there, source, op);
                                 else
                                     copy(row, source, op);
                             });
}

void CustomVolumesImpl::create_empty(Row row) {
    const auto guards = lock({&row});
    require_free(row);
    fill_defaults(row);
    check_config(row, row.config);
    publish_new(row, [&](StorageDriver& driver, const VolumeId& as) {
        auto staged = driver.stage(as);
        Rollback undo;
        undo.add([&] { driver.discard(staged); });
        if (row.block && !driver.blocks_are_devices())
            make_block_image(driver.open_staged(staged), size_of(row.config));
        undo.commit();
        return staged;
    });
    event(row, "storage-volume-created", "type", "custom");
}

/// The intent comes first: what it names and is not there in full after an interruption goes.
void CustomVolumesImpl::publish_new(Row row, const Make& make,
                                    const std::function<void(Row&, StorageDriver&)>& add_snapshots) {
    const auto driver = access_.driver(row.pool);
    const auto intent = intents_.begin(intent::kCreate, row.project, row.name,
                                       nlohmann::json{{"pool", row.pool}, {"block", row.block}}.dump());
    Rollback undo;
    undo.add([&] { intents_.end(intent); });
    fault_point("volume-create:intended");
    row.id = global_.write_value([&](db::Transaction& tx) { return volumes_.insert(tx, row); });
    undo.add([&] { global_.write([&](db::Transaction& tx) { volumes_.remove(tx, row.id); }); });
    fault_point("volume-create:recorded");
    const auto id = custom_volume(row);
    undo.add([&, id] {
        for (const auto& snapshot : driver->list_snapshots(id))
            driver->remove(custom_snapshot(row, snapshot));
    });
    if (add_snapshots) add_snapshots(row, *driver);
    const auto staged = make(*driver, id);
    undo.add([&, staged] { driver->discard(staged); });
    fault_point("volume-create:staged");
    driver->publish(staged);
    undo.add([&, id] { driver->remove(id); });
    fault_point("volume-create:published");
    settle(*driver, row);
    undo.commit();
    fault_point("volume-create:settled");
    intents_.end(intent);
}

void CustomVolumesImpl::settle(StorageDriver& driver, const Row& row) const { apply_size(driver, row, ""); }

void CustomVolumesImpl::apply_size(StorageDriver& driver, const Row& row, const std::string& before) const {
    const auto bytes = size_of(row.config);
    if (row.block) {
        if (bytes > 0 && driver.blocks_are_devices())
            driver.quotas()->set_quota(custom_volume(row), bytes);
        else if (bytes > 0)
            make_block_image(access_.open_content(row.pool, custom_volume(row)).dir, bytes);
        return;
    }
    if (bytes == 0 && before.empty()) return;
    if (auto* quotas = driver.quotas())
        quotas->set_quota(custom_volume(row), bytes);
    else if (bytes > 0)
        log_.warning("The storage pool has no quotas: the size of the volume is not enforced",
                     {{"pool", row.pool}, {"volume", row.name}});
}

} // namespace lxdcore::storage
