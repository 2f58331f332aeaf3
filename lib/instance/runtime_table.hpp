// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <lxdcore/service/instance_service.hpp>

#include "system/idmap.hpp"
#include "system/pid_namespace.hpp"
#include "util/reactor.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::instance {

/// A container that runs, as this process knows it.
struct Running {
    std::uint64_t generation = 0;
    int init_pid = -1, monitor_pid = -1;
    std::shared_ptr<UniqueFd> init_pidfd, monitor_pidfd;
    NamespaceId pid_namespace; ///< init's
    IdMap idmap;
    std::string cgroup;
    bool frozen = false;
    /// An operation stops it: it tells the world when that is done. Otherwise the guest ended by itself.
    bool stop_requested = false;
    bool keep = false; ///< a restart is under way: an ephemeral instance stays
};

/// State machine of all instances: Stopped (no entry), Running, Frozen. The end of the monitor, watched by pidfd, is
/// the end of the container. Thread-safe.
class RuntimeTable {
public:
    struct Callbacks {
        /// The monitor has ended; runs on the reactor's thread and must only queue. The entry stays until erase().
        std::function<void(const InstanceRef&, std::uint64_t generation)> ended;
    };
    RuntimeTable(Reactor& reactor, Callbacks callbacks);
    ~RuntimeTable();

    /// Opens pidfds on @p init_pid and its parent, the monitor, and watches them. The entry's generation is set.
    /// @throws Error NotFound when init has ended already
    Running add(const InstanceRef& ref, int init_pid, IdMap idmap, std::string cgroup);
    void erase(const InstanceRef& ref, std::uint64_t generation);
    std::optional<Running> find(const InstanceRef& ref) const;
    /// The container whose init is in pid namespace @p id.
    std::optional<std::pair<InstanceRef, Running>> in_namespace(const NamespaceId& id) const;
    api::Status status(const InstanceRef& ref) const;
    std::vector<InstanceRef> all() const;
    void set_frozen(const InstanceRef& ref, bool frozen);
    /// Marks an entry as being stopped by an operation; false when it has gone.
    bool request_stop(const InstanceRef& ref, bool keep);
    void withdraw_stop(const InstanceRef& ref);
    /// Waits until the entry of @p generation has been erased; false at the timeout.
    bool wait_gone(const InstanceRef& ref, std::uint64_t generation, std::optional<std::chrono::milliseconds> timeout);
    void interrupt(); ///< every wait ends now, with false: the process is about to let go of the containers

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace lxdcore::instance
