// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/instance_service.hpp>

#include "instance/kernel_limits.hpp"
#include "storage/storage_manager.hpp"
#include "system/idmap.hpp"
#include "util/dir.hpp"
#include "util/helper_program.hpp"
#include "util/reactor.hpp"
#include "util/worker_pool.hpp"

namespace lxdcore::instance {

/// A running container as those see it who enter it. Made by the instance service from its runtime.
struct RunningGuest {
    InstanceRef ref;
    int init_pid = -1;
    std::shared_ptr<UniqueFd> init_pidfd;
    IdMap idmap;                           ///< empty: privileged
    api::StringMap expanded_config;        ///< environment.*, security.*
    std::vector<std::string> cgroup_paths; ///< directories of the payload, one per mounted hierarchy, absolute
    std::vector<KernelLimit> limits;       ///< lxc.prlimit.* that its init has got
    std::string seccomp_bpf;               ///< compiled filter to load before exec; "" for none
    /// Takes the listener of a command whose filter asks about some calls; empty: it asks about none.
    std::function<void(UniqueFd listener)> serve_calls;
    std::string log_path; ///< $LXD_DIR/logs/<name>, 0700, exists
    std::string lxc_path; ///< liblxc's lxcpath and name, for the console
    std::string lxc_name;
};

/// Commands, consoles and files of instances: everything that enters a guest. No configuration is read or written here.
/// Thread-safe.
class GuestAccess {
public:
    struct Services {
        OperationService& operations;
        EventService& events;
        storage::StorageManager& storage;
        const HelperProgram& helper;
        Reactor& reactor;
        WorkerPool& pool;
        const Logger& log;
    };
    virtual ~GuestAccess() = default;
    virtual OperationPtr exec(const RunningGuest& guest, const api::InstanceExecPost& request) = 0;
    virtual OperationPtr exec(const RunningGuest& guest, const api::InstanceExecPost& request,
                              const InstanceService::ExecStreams& streams) = 0;
    virtual OperationPtr console(const RunningGuest& guest, int width, int height) = 0;
    /// @p guest unset: the instance is stopped; @p root is then its rootfs on disk and @p idmap the shift of the ids
    /// there (empty when ids on disk are those inside).
    virtual InstanceFile pull(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
                              const IdMap& disk_idmap, const std::string& path, bool head_only) = 0;
    virtual void push(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
                      const IdMap& disk_idmap, const InstanceFilePush& push) = 0;
    virtual void remove(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
                        const IdMap& disk_idmap, const std::string& path) = 0;
    /// See InstanceService::sftp; the other arguments as for pull().
    virtual std::shared_ptr<const int> sftp(const InstanceRef& ref, const std::optional<RunningGuest>& guest,
                                            const Dir* root, const IdMap& disk_idmap) = 0;
    /// Ends what runs in the guest or looks at its files on our behalf: it stops, starts or goes.
    virtual void forget(const InstanceRef& ref) = 0;
};

std::unique_ptr<GuestAccess> make_guest_access(const GuestAccess::Services& services);

} // namespace lxdcore::instance
