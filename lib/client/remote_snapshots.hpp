// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/instance_publish_service.hpp>
#include <lxdcore/service/instance_snapshot_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Snapshots of the server's instances, and images made of either. Thread-safe.
class RemoteSnapshots final : public InstanceSnapshotService, public InstancePublishService {
public:
    explicit RemoteSnapshots(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<std::string> snapshot_names(const InstanceRef& ref) const override;
    std::vector<api::InstanceSnapshot> snapshots(const InstanceRef& ref) const override;
    std::map<std::string, std::vector<api::InstanceSnapshot>>
    snapshots_by_instance(const std::string& project) const override;
    api::InstanceSnapshot snapshot(const InstanceRef& ref, const std::string& name) const override;
    OperationPtr create_snapshot(const InstanceRef& ref, const api::InstanceSnapshotsPost& request) override;
    OperationPtr update_snapshot(const InstanceRef& ref, const std::string& name,
                                 const api::InstanceSnapshotPut& snapshot, const std::string& if_match) override;
    OperationPtr rename_snapshot(const InstanceRef& ref, const std::string& name,
                                 const api::InstanceSnapshotPost& request) override;
    OperationPtr remove_snapshot(const InstanceRef& ref, const std::string& name) override;

    OperationPtr publish(const PublishRequest& request) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
