// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/guest_api.hpp>
#include <lxdcore/service/image_service.hpp>
#include <lxdcore/service/instance_service.hpp>
#include <lxdcore/service/network_service.hpp>
#include <lxdcore/service/profile_service.hpp>
#include <lxdcore/service/server_service.hpp>
#include <lxdcore/service/storage_service.hpp>
#include <lxdcore/service/storage_volume_service.hpp>

#include "auth/authorizer.hpp"
#include "http/workers.hpp"
#include "server_info.hpp"

namespace lxdcore {
class BackupService;
class InstanceMetadataService;
class InstancePublishService;
class InstanceSnapshotService;
class MetricsService;
class VolumeBackupService;
class WarningService;
} // namespace lxdcore

namespace lxdcore::daemon {

/// What the handlers use of a Core.
struct Services {
    InstanceService& instances;
    ImageService& images;
    ProfileService& profiles;
    NetworkService& networks;
    StorageService& storage;
    StorageVolumeService& volumes;
    ServerService& server;
    OperationService& operations;
    EventService& events;
    InstanceMetadataService& instance_metadata;
    BackupService& backups;
    VolumeBackupService& volume_backups;
    InstanceSnapshotService& snapshots;
    InstancePublishService& publishing;
    MetricsService& metrics;
    WarningService& warnings;
    GuestApi& guests;
    std::function<nlohmann::json(const std::string& database, const std::string& query)> sql;
};

/// Everything that a handler may reach. Thread-safe.
struct App {
    Services core;
    std::filesystem::path state_dir;
    Logger log;
    Workers workers{16};
    Workers password_workers{1}; ///< wrong passwords are slow on purpose: they must not take the others' threads
    Authorizer auth{core.server};
    ServerInfo info{core.server};
    std::atomic<bool> stopping{false}; ///< only looking is allowed
    std::function<void()> stop;        ///< ends the daemon; returns at once
};

} // namespace lxdcore::daemon
