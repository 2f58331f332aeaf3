// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include <lxdcore/api/instance_snapshot.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/instance_service.hpp>

namespace lxdcore {

/// Snapshots of instances; they are restored by InstanceService::update(). Thread-safe. All throw Error NotFound for an
/// unknown instance ("Instance not found") or snapshot ("Failed to fetch snapshot … not found"). Names are without that
/// of the instance. Methods that return an operation check what LXD checks before answering, the rest fails the
/// operation.
class LXDCORE_API InstanceSnapshotService {
public:
    virtual ~InstanceSnapshotService();
    virtual std::vector<std::string> snapshot_names(const InstanceRef& ref) const = 0; ///< in the order of making
    /// The same with all that is known of them.
    virtual std::vector<api::InstanceSnapshot> snapshots(const InstanceRef& ref) const = 0;
    /// Of all instances of a project that have any, by their names.
    virtual std::map<std::string, std::vector<api::InstanceSnapshot>>
    snapshots_by_instance(const std::string& project) const = 0;
    /// With its `size`, which the list by instance leaves at -1.
    virtual api::InstanceSnapshot snapshot(const InstanceRef& ref, const std::string& name) const = 0;
    /// Of [expires_at].
    static std::string snapshot_etag(const api::InstanceSnapshot& snapshot);

    /// A running instance stands still meanwhile. @throws Error InvalidArgument (name), Internal (snapshots.pattern). A
    /// name that is taken, or `stateful`, fails the operation.
    virtual OperationPtr create_snapshot(const InstanceRef& ref, const api::InstanceSnapshotsPost& request) = 0;
    /// Changes when it expires. @throws Error StaleEtag when @p if_match is not "" and another than snapshot_etag()
    virtual OperationPtr update_snapshot(const InstanceRef& ref, const std::string& name,
                                         const api::InstanceSnapshotPut& snapshot, const std::string& if_match) = 0;
    /// @throws Error AlreadyExists, InvalidArgument (name), Unsupported (to other servers)
    virtual OperationPtr rename_snapshot(const InstanceRef& ref, const std::string& name,
                                         const api::InstanceSnapshotPost& request) = 0;
    /// The row goes when the content is gone; an interruption is finished by the next start.
    virtual OperationPtr remove_snapshot(const InstanceRef& ref, const std::string& name) = 0;
};

} // namespace lxdcore
