// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/core.hpp>

#include <nlohmann/json.hpp>

#include "core/installed_paths.hpp"
#include "core/state_directory.hpp"
#include "db/sql_console.hpp"
#include "device/device.hpp"
#include "device/extension.hpp"
#include "event/event_hub.hpp"
#include "instance/instance_manager.hpp"
#include "instance/volume_backups.hpp"
#include "operation/operation_manager.hpp"
#include "server/server_manager.hpp"
#include "server/warnings.hpp"
#include "storage/added_drivers.hpp"
#include "storage/custom_volumes.hpp"
#include "storage/server_folders.hpp"

namespace lxdcore {

namespace {

/// Blocking work waits on the disk and on containers, not on a processor: more threads than processors, and few.
constexpr std::size_t most_workers = 64;

const char* level_name(LogLevel level) {
    switch (level) {
    case LogLevel::Trace:
        return "trace";
    case LogLevel::Debug:
        return "debug";
    case LogLevel::Info:
        return "info";
    case LogLevel::Warning:
        return "warning";
    case LogLevel::Error:
        break;
    }
    return "error";
}

LogSink tee(LogSink sink, EventService& events) {
    return [sink = std::move(sink), &events](const LogRecord& record) {
        if (sink) sink(record);
        if (events.wanted("logging")) events.logging(level_name(record.level), record.message, record.context);
    };
}

std::unique_ptr<db::Database> open_database(const Dir& state_dir, const char* name,
                                            const std::vector<db::Migration>& migrations) {
    return db::Database::open(std::filesystem::path{state_dir.path()} / name, migrations);
}

} // namespace

/// In the order of the layers; destroyed in reverse.
struct Core::Impl {
    explicit Impl(CoreOptions options)
        : state_path{options.state_dir}, log{tee(std::move(options.log), *events)}, state{state_path},
          helper{options.helper.empty() ? std::filesystem::path{LXDCORE_HELPER_PATH} : options.helper,
                 options.guest_file_limit},
          unprivileged_only{options.unprivileged_only}, storage_drivers{std::move(options.storage_drivers)} {
        for (const auto& [name, type] : options.device_types) {
            if (!type) throw Error{ErrorCode::InvalidArgument, "A type of device that is nothing: " + name};
            device_types.keys[name] = type->keys();
        }
        device_types.types = std::move(options.device_types);
        if (!options.allow_empty_database) state.require_database_or_no_instances();
        local = open_database(state.dir(), "database/local.db", db::local_migrations());
        global = open_database(state.dir(), "database/global/db.bin", db::global_migrations());
        build();
        start(options.autostart);
    }

    ~Impl() { stop(); }

    void build() {
        const Dir& dir = state.dir();
        operations = make_operation_service(*events, pool, reactor, log);
        profiles = project::make_profile_manager(*global, *events, device_types.keys);
        storage = storage::make_storage_manager(*local, *global, dir, *events, log, std::move(storage_drivers));
        auto& pools = storage::PoolAccess::of(*storage);
        pools.confine_with(helper);
        folders = &pools.server_folders(); // which the settings follow
        server = server::make_server_manager(*local, *global, dir, *events, *operations, supported_drivers(), log);
        warnings = server::make_warning_service(*global, *events);
        volumes = storage::make_custom_volumes({*local, *global, *storage, *operations, *events, log});
        volume_backups = instance::make_volume_backups(
            {*local, *global, dir, *storage, *volumes, *operations, *events, helper, log});
        network = network::make_network_manager(*local, *global, dir, *events, reactor, log);
        images = image::make_image_manager(
            *local, *global, *storage, *operations, *events, helper, log,
            [this](const auto& project, const auto& names) { return root_pool(project, names); });
        instances =
            instance::make_instance_manager({*local, *global, dir, *storage, *network, *images, *profiles, *operations,
                                             *events, helper, reactor, pool, log, unprivileged_only, &device_types});
    }

    nlohmann::json supported_drivers() const {
        auto list = nlohmann::json::array();
        for (const auto& known : storage::supported_drivers())
            if (!storage_drivers.contains(known.at("Name").get<std::string>())) list.push_back(known);
        for (const auto& [name, maker] : storage_drivers) {
            if (!maker) throw Error{ErrorCode::InvalidArgument, "A storage driver that is nothing: " + name};
            list.push_back({{"Name", name}, {"Version", ""}, {"Remote", false}});
        }
        return list;
    }

    /// As an instance with these profiles and nothing of its own would get it.
    std::string root_pool(const std::string& project, const std::vector<std::string>& names) const {
        api::Devices expanded;
        for (const auto& name : names)
            for (auto& [device, config] : profiles->get(project, name).devices)
                expanded[device] = std::move(config);
        try {
            const auto& root = expanded.at(device::root_disk(expanded));
            const auto pool = root.find("pool");
            return pool == root.end() ? "" : pool->second;
        } catch (const Error&) { // such an instance names its own
            return {};
        }
    }

    void start(bool autostart) {
        try {
            storage->start();
            volumes->start([this](const auto& project, const auto& name) {
                return instances->in_use({project, name});
            });
            volume_backups->start();
            folders->start();
            server->on_change([this](const api::StringMap& changed) { folders->change(changed); });
            network->start();
            images->start();
            instances->start();
            if (autostart) instances->start_wanted();
            volumes->start_schedules();
            volume_backups->start_expiry();
        } catch (...) {
            stop();
            throw;
        }
    }

    /// Before anything is destroyed that work in progress could still use.
    void stop() noexcept {
        if (volumes) volumes->stop();
        if (volume_backups) volume_backups->stop();
        if (operations) operations->drain(std::chrono::milliseconds{0});
        if (instances) instances->stop();
        if (network) network->stop();
        pool.finish();
    }

    const std::filesystem::path state_path;
    std::unique_ptr<EventService> events = make_event_service();
    Logger log;
    StateDirectory state;
    HelperProgram helper;
    const bool unprivileged_only;
    storage::AddedDrivers storage_drivers;
    device::AddedTypes device_types;
    std::unique_ptr<db::Database> local, global;
    Reactor reactor;
    WorkerPool pool{most_workers};
    std::unique_ptr<OperationService> operations;
    std::unique_ptr<project::ProfileManager> profiles;
    std::unique_ptr<storage::StorageManager> storage;
    storage::ServerFolders* folders = nullptr;
    std::unique_ptr<ServerService> server;
    std::unique_ptr<WarningService> warnings;
    std::unique_ptr<storage::CustomVolumes> volumes;
    std::unique_ptr<instance::VolumeBackups> volume_backups;
    std::unique_ptr<network::NetworkManager> network;
    std::unique_ptr<image::ImageManager> images;
    std::unique_ptr<instance::InstanceManager> instances;
};

Core::Core(CoreOptions options) : impl_{std::make_unique<Impl>(std::move(options))} {}
Core::~Core() = default;

const std::filesystem::path& Core::state_dir() const noexcept { return impl_->state_path; }
InstanceService& Core::instances() noexcept { return *impl_->instances; }
InstanceSnapshotService& Core::instance_snapshots() noexcept { return *impl_->instances; }
InstancePublishService& Core::publishing() noexcept { return *impl_->instances; }
InstanceMetadataService& Core::instance_metadata() noexcept { return *impl_->instances; }
BackupService& Core::backups() noexcept { return *impl_->instances; }
VolumeBackupService& Core::volume_backups() noexcept { return *impl_->volume_backups; }
MetricsService& Core::metrics() noexcept { return *impl_->instances; }
GuestApi& Core::guest_api() noexcept { return *impl_->instances; }
ImageService& Core::images() noexcept { return *impl_->images; }
ProfileService& Core::profiles() noexcept { return *impl_->profiles; }
NetworkService& Core::networks() noexcept { return *impl_->network; }
StorageService& Core::storage() noexcept { return *impl_->storage; }
StorageVolumeService& Core::volumes() noexcept { return *impl_->volumes; }
ServerService& Core::server() noexcept { return *impl_->server; }
WarningService& Core::warnings() noexcept { return *impl_->warnings; }
OperationService& Core::operations() noexcept { return *impl_->operations; }
EventService& Core::events() noexcept { return *impl_->events; }

nlohmann::json Core::sql(const std::string& database, const std::string& query) {
    if (database == "local") return db::run_console(*impl_->local, query);
    if (database == "global") return db::run_console(*impl_->global, query);
    throw Error{ErrorCode::InvalidArgument, "Invalid database"};
}

} // namespace lxdcore
