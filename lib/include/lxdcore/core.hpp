// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <lxdcore/event.hpp>
#include <lxdcore/extension/device_type.hpp>
#include <lxdcore/extension/storage_backend.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/guest_api.hpp>
#include <lxdcore/service/image_service.hpp>
#include <lxdcore/service/instance_metadata_service.hpp>
#include <lxdcore/service/instance_publish_service.hpp>
#include <lxdcore/service/instance_service.hpp>
#include <lxdcore/service/instance_snapshot_service.hpp>
#include <lxdcore/service/metrics_service.hpp>
#include <lxdcore/service/network_service.hpp>
#include <lxdcore/service/profile_service.hpp>
#include <lxdcore/service/server_service.hpp>
#include <lxdcore/service/storage_service.hpp>
#include <lxdcore/service/storage_volume_service.hpp>
#include <lxdcore/service/volume_backup_service.hpp>
#include <lxdcore/service/warning_service.hpp>

namespace lxdcore {

/// What a Core works on, and with.
struct CoreOptions {
    std::filesystem::path state_dir; ///< absolute; made if missing
    LogSink log;                     ///< where log records go; empty: nowhere
    std::filesystem::path helper;    ///< lxdcore-helper; empty: the installed one
    /// Start what boot.autostart and the last state ask for.
    bool autostart = false;
    /// No privileged containers, and nothing that would make one of them (LXD_UNPRIVILEGED_ONLY).
    bool unprivileged_only = false;
    /// Soft RLIMIT_NOFILE of containers and commands in them, if limits.kernel.nofile does not say; 0: that of this
    /// process.
    std::uint64_t guest_file_limit = 0;
    /// Begin with an empty database even if instances are found on disk (recovery).
    bool allow_empty_database = false;
    /// Drivers of storage pools and types of devices besides the built-in ones, by name. A pool or instance that uses
    /// one needs it again with each later Core on the directory. A name of a built-in one is taken over.
    std::map<std::string, StorageBackendMaker> storage_drivers = {};
    std::map<std::string, std::shared_ptr<DeviceType>> device_types = {};
};

/// A container manager on one state directory. No signal handlers, no global state, no exit().
/// Thread-safe; services are valid as long as the Core.
class LXDCORE_API Core {
public:
    /// Takes the lock of the state directory, opens and upgrades the databases, repairs what an earlier process left
    /// half done, brings networks and pools up, adopts running containers.
    /// @throws Error BadState if another process owns the directory (its pid is in the text), Internal for a damaged
    /// or newer database (which is left untouched)
    explicit Core(CoreOptions options);
    /// Operations that run are interrupted where they can be undone, else waited for; commands of exec() and consoles
    /// end. Containers and networks keep running.
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// CoreOptions::state_dir, and a service for each area.
    const std::filesystem::path& state_dir() const noexcept;
    InstanceService& instances() noexcept;
    InstanceSnapshotService& instance_snapshots() noexcept;
    InstancePublishService& publishing() noexcept;
    InstanceMetadataService& instance_metadata() noexcept;
    BackupService& backups() noexcept;
    VolumeBackupService& volume_backups() noexcept;
    MetricsService& metrics() noexcept;
    GuestApi& guest_api() noexcept;
    ImageService& images() noexcept;
    ProfileService& profiles() noexcept;
    NetworkService& networks() noexcept;
    StorageService& storage() noexcept;
    StorageVolumeService& volumes() noexcept;
    ServerService& server() noexcept;
    WarningService& warnings() noexcept;
    OperationService& operations() noexcept;
    EventService& events() noexcept;
    /// SQL for administrators, on "local" or "global": what LXD's /internal/sql has as metadata,
    /// {"Results":[{"type","columns","rows","rows_affected"}…]}; for ".schema", ".dump" and ".tables" {"text": …}.
    /// @throws Error InvalidArgument "Invalid database", "No query provided", Internal with SQLite's text
    nlohmann::json sql(const std::string& database, const std::string& query);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lxdcore
