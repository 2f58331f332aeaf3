// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Networks: managed bridges, and what the host has besides (managed = false). Thread-safe; changes to one network run
/// one after another. All throw Error NotFound for an unknown name; those that change something also for a network that
/// is not managed, and StaleEtag where @p if_match is neither "" nor the etag(). All projects have the same networks.
class LXDCORE_API NetworkService {
public:
    virtual ~NetworkService();
    /// The managed ones as they were made, then those of the host.
    virtual std::vector<api::Network> list(const std::string& project) const = 0;
    /// In the same order.
    virtual std::vector<std::string> names(const std::string& project) const = 0;
    /// Status Created, or Unavailable for a managed one that is not up.
    virtual api::Network get(const std::string& project, const std::string& name) const = 0;
    /// Makes a bridge and brings it up; "auto" addresses are chosen from what is free. @throws Error InvalidArgument
    /// (name, "The network already exists"), Internal (options, an interface of that name), Unsupported (types and
    /// keys), Forbidden (raw.dnsmasq without being admin)
    virtual void create(const std::string& project, const api::NetworksPost& network) = 0;
    /// Replaces configuration and description; the bridge follows at once, and goes back if that fails. @throws Error
    /// InvalidArgument (options), Forbidden (raw.dnsmasq)
    virtual void update(const std::string& project, const std::string& name, const api::NetworkPut& network,
                        const std::string& if_match) = 0;
    /// As update(); keys that are absent stay, the description does not (as LXD).
    virtual void patch(const std::string& project, const std::string& name, const api::NetworkPatch& network,
                       const std::string& if_match) = 0;
    /// @throws Error BadState "Network is currently in use", AlreadyExists, InvalidArgument (name), Internal (an
    /// interface)
    virtual void rename(const std::string& project, const std::string& name, const std::string& new_name) = 0;
    /// @throws Error BadState "The network is currently in use"
    virtual void remove(const std::string& project, const std::string& name) = 0;
    /// Gateways, then static and dynamic addresses of a managed network; with a project only those of its instances.
    virtual std::vector<api::NetworkLease> leases(const std::string& project, const std::string& name) const = 0;
    /// What the kernel says of the interface now; MTU and counters in bytes.
    virtual api::NetworkState state(const std::string& project, const std::string& name) const = 0;
    /// Host shutdown, after the instances: takes down bridges, firewall rules and dnsmasq. The networks stay defined
    /// and come up with the next Core.
    virtual void stop_all() = 0;
    /// Of [name, managed, type, description, config].
    static std::string etag(const api::Network& network);
};

} // namespace lxdcore
