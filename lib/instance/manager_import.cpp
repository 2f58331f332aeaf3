// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"
#include "image/cage.hpp"
#include "instance/backup_content.hpp"
#include "instance/backup_index.hpp"
#include "instance/manager_creation.hpp"
#include "instance/root_disk.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kContext = "Create instance from backup";

} // namespace

OperationPtr Manager::import_backup(const BackupImport& request) {
    require_project(request.project);
    if (!request.name.empty()) names::check_instance(request.name);
    if (!request.pool.empty()) {
        names::check_pool(request.pool);
        s_.storage.require_pool(request.pool);
    }
    const auto index = read_backup_index(image::Cage{s_.helper}.backup_index(*request.archive, {}));
    auto creation = std::make_shared<Creation>();
    creation->request = index.instance.request;
    auto& post = creation->request;
    post.name = request.name.empty() ? index.name : request.name;
    creation->ref = {request.project, post.name};
    config::check_supported(post.config);
    const auto profiles = expander(request.project);
    for (const auto& profile : *post.requested_profiles)
        if (!profiles.knows(profile))
            throw Error{ErrorCode::InvalidArgument, "Requested profile " + text::quote(profile) + " doesn't exist"};
    if (!post.architecture.empty()) post.architecture = index.instance.request.architecture;
    creation->import = Creation::Import{.archive = request.archive,
                                        .snapshots = index.snapshots,
                                        .records = index.instance.snapshots,
                                        .backend = index.optimized ? index.backend : "",
                                        .disk_map = index.instance.disk_map,
                                        .kept = index.instance.kept,
                                        .created_at = index.instance.created_at,
                                        .last_used_at = index.instance.last_used_at};

    auto pool = request.pool;
    if (const auto known = s_.storage.names();
        pool.empty() && std::find(known.begin(), known.end(), index.pool) != known.end())
        pool = index.pool;
    if (!pool.empty()) place_root(*creation, pool); // else wherever its profiles have it

    return s_.operations.start(
        operation_options(kBackupRestore, creation->ref), [this, creation](OperationContext& op) {
            try {
                const auto claim = claims_.take(creation->ref, "create");
                if (s_.global.read_value([&](db::Transaction& tx) {
                        return repo_.find(tx, creation->ref.project, creation->ref.name).has_value();
                    }))
                    throw Error{ErrorCode::AlreadyExists, "Cannot restore volume, already exists on target"};
                run_create(*creation, op);
            } catch (Error& error) {
                error.add_context(kContext);
                throw;
            }
        });
}

/// Whatever profiles it has, the instance of @p creation has its root disk in @p pool.
void Manager::place_root(Creation& creation, const std::string& pool) const {
    db::InstanceRow row;
    row.devices = creation.request.devices;
    row.profiles = *creation.request.requested_profiles;
    const auto expanded = expander(creation.ref.project).expand(std::move(row)).devices;
    place_root_disk(creation.request.devices, expanded, pool);
}

/// Snapshots as the document has them; each is judged as an instance with its configuration would be (R22).
std::vector<db::InstanceSnapshotRow> Manager::imported_rows(const Creation& creation) const {
    const auto& import = *creation.import;
    const auto profiles = expander(creation.ref.project);
    std::vector<db::InstanceSnapshotRow> rows;
    for (const auto& record : import.records) {
        if (std::find(import.snapshots.begin(), import.snapshots.end(), record.name) == import.snapshots.end())
            continue;
        auto seen = creation.instance.row;
        seen.config = record.config;
        std::erase_if(seen.config, [](const auto& item) { return item.first.starts_with("volatile."); });
        seen.devices = record.devices;
        check_config(seen.config);
        validate_devices(seen.devices);
        check_policy({}, profiles.expand(seen));
        place_root_disk(seen.devices, profiles.expand(seen).devices, creation.pool);
        seen.config["volatile.last_state.idmap"] = import.disk_map;
        rows.push_back({.name = record.name,
                        .created_at = record.created_at,
                        .expires_at = record.expires_at,
                        .config = std::move(seen.config),
                        .devices = std::move(seen.devices)});
    }
    return rows;
}

/// The volume and its snapshots out of the archive.
void Manager::create_imported(const Creation& creation, OperationContext& op) {
    const auto& ref = creation.ref;
    const auto& import = *creation.import;
    imported_rows(creation); // before anything is unpacked
    BackupContent content{
        .kind = BackupContent::Kind::Instance, .archive = import.archive, .devices = creation.instance.privileged()};
    if (!import.backend.empty())
        content.parts = backup_parts(image::Cage{s_.helper}, *import.archive, import.backend, import.snapshots,
                                     s_.storage.get(creation.pool).driver);
    const auto space = s_.state_dir.dir("storage-pools").dir(creation.pool);
    s_.storage.create_staged(creation.pool, ref.project, ref.name, import.snapshots,
                             [&](storage::StorageDriver& driver, const std::vector<storage::VolumeId>& as) {
                                 auto staged = content.stage(s_.helper, driver, as, space, op.stop_token());
                                 fault_point("import:staged");
                                 return staged;
                             });
    fault_point("import:volume");
}

} // namespace lxdcore::instance
