// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <lxdcore/event.hpp>
#include <lxdcore/service/instance_service.hpp>

namespace lxdcore {

/// What a guest may learn about itself through /dev/lxd/sock. Thread-safe.
/// All but find() throw Error NotFound when the caller's guest has ended since, Forbidden while security.devlxd is off.
class LXDCORE_API GuestApi {
public:
    /// A process as the kernel names the other end of a socket.
    struct Process {
        int pid = 0;
        std::uint32_t uid = 0; ///< the host's number
        int pidfd = -1;        ///< keeps the pid from meaning somebody else; borrowed
    };
    /// A guest, as find() knew it.
    struct Caller {
        InstanceRef instance;
        std::uint64_t run = 0; ///< which run of the instance: a caller does not outlive it
        bool root = false;     ///< root of the guest
    };
    virtual ~GuestApi();
    /// Whose guest a process is in, judged by its pid namespaces, which a guest cannot choose (R30). Empty for others.
    virtual std::optional<Caller> find(const Process& process) const = 0;
    /// Nothing but what all of them throw.
    virtual void check(const Caller& caller) const = 0;
    virtual api::StringMap config(const Caller& caller) const = 0; ///< user.* and cloud-init.*, profiles applied
    /// One key of these. @throws Error Forbidden for other keys, NotFound
    virtual std::string config(const Caller& caller, const std::string& key) const = 0;
    virtual api::Devices devices(const Caller& caller) const = 0;
    /// Text for cloud-init, see its NoCloud data source.
    virtual std::string meta_data(const Caller& caller) const = 0;
    /// @throws Error Forbidden unless security.devlxd.images is on
    virtual void check_images(const Caller& caller) const = 0;
    /// @p receive gets {"type","timestamp","metadata"} of @p types ("config", "device"), and an event without json when
    /// there will be no more. It must only queue.
    virtual std::unique_ptr<EventSubscription> subscribe(const Caller& caller, std::set<std::string> types,
                                                         std::function<void(const Event&)> receive) = 0;
};

} // namespace lxdcore
