// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Networks: managed bridges, and what the host has besides (managed = false). Thread-safe.
/// All throw Error NotFound "Network not found" for an unknown name.
class LXDCORE_API NetworkService {
public:
    virtual ~NetworkService();
    virtual std::vector<api::Network> list(const std::string& project) const = 0;
    virtual std::vector<std::string> names(const std::string& project) const = 0;
    virtual api::Network get(const std::string& project, const std::string& name) const = 0;
    virtual void create(const std::string& project, const api::NetworksPost& network) = 0;
    virtual void update(const std::string& project, const std::string& name, const api::NetworkPut& network,
                        const std::string& if_match) = 0;
    virtual void patch(const std::string& project, const std::string& name, const api::NetworkPatch& network,
                       const std::string& if_match) = 0;
    virtual void rename(const std::string& project, const std::string& name, const std::string& new_name) = 0;
    virtual void remove(const std::string& project, const std::string& name) = 0;
    virtual std::vector<api::NetworkLease> leases(const std::string& project, const std::string& name) const = 0;
    virtual api::NetworkState state(const std::string& project, const std::string& name) const = 0;
    /// Host shutdown, after the instances: takes down bridges, firewall rules and dnsmasq. The networks stay defined
    /// and come up with the next Core.
    virtual void stop_all() = 0;
    static std::string etag(const api::Network& network);
};

} // namespace lxdcore
