// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/guest_api.hpp>
#include <lxdcore/service/instance_metadata_service.hpp>
#include <lxdcore/service/instance_publish_service.hpp>
#include <lxdcore/service/instance_service.hpp>
#include <lxdcore/service/instance_snapshot_service.hpp>
#include <lxdcore/service/metrics_service.hpp>

#include "db/database.hpp"
#include "image/image_manager.hpp"
#include "network/network_manager.hpp"
#include "project/profile_manager.hpp"
#include "storage/storage_manager.hpp"
#include "util/dir.hpp"
#include "util/helper_program.hpp"
#include "util/reactor.hpp"
#include "util/worker_pool.hpp"

namespace lxdcore::device {
struct AddedTypes;
}

namespace lxdcore::instance {

/// Everything the instance service stands on; references must outlive it.
struct Services {
    db::Database& local;
    db::Database& global;
    const Dir& state_dir;
    storage::StorageManager& storage;
    network::NetworkManager& network;
    image::ImageManager& image;
    project::ProfileManager& profiles;
    OperationService& operations;
    EventService& events;
    const HelperProgram& helper;
    Reactor& reactor;
    WorkerPool& pool;
    const Logger& log;
    bool unprivileged_only = false;
    const device::AddedTypes* added_types = nullptr; ///< of devices; null: none
};

class InstanceManager : public InstanceService,
                        public InstanceSnapshotService,
                        public InstancePublishService,
                        public InstanceMetadataService,
                        public BackupService,
                        public MetricsService,
                        public GuestApi {
public:
    /// Finishes or undoes interrupted changes, then adopts running containers.
    virtual void start() = 0;
    virtual void stop() noexcept = 0; ///< daemon exit: containers stay up
    /// Whether it runs or is about to: what it has attached must not be exchanged.
    virtual bool in_use(const InstanceRef& ref) const = 0;
};

std::unique_ptr<InstanceManager> make_instance_manager(const Services& services);

} // namespace lxdcore::instance
