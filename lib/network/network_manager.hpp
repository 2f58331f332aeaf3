// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/service/network_service.hpp>

#include "db/database.hpp"
#include "util/dir.hpp"
#include "util/reactor.hpp"

namespace lxdcore::network {

/// What a NIC on a managed bridge tells its network.
struct NicRecord {
    std::string project, instance, device;
    std::string mac;        ///< aa:bb:…
    std::string ipv4, ipv6; ///< static addresses, or ""
};

/// What devices need of networks, beside the public service. Thread-safe.
class NetworkManager : public NetworkService {
public:
    /// Brings all networks up (bridge, addresses, firewall, dnsmasq), idempotently; re-adopts dnsmasq processes of an
    /// earlier daemon. A network that fails becomes "Unavailable" and is retried; start() itself does not throw for it.
    virtual void start() = 0;
    virtual void stop() noexcept = 0; ///< daemon exit: everything stays up
    /// The host interface to attach to; @throws Error NotFound, Unavailable "Network \"x\" unavailable on this server"
    virtual std::string bridge_of(const std::string& project, const std::string& network) const = 0;
    virtual unsigned mtu_of(const std::string& project, const std::string& network) const = 0;
    virtual bool is_managed(const std::string& project, const std::string& network) const = 0;
    /// Configuration of a managed network. @throws NotFound
    virtual api::StringMap config_of(const std::string& project, const std::string& network) const = 0;
    /// NICs of all instances on the network, from the database: what may not be used twice.
    virtual std::vector<NicRecord> nics_on(const std::string& network) const = 0;
    /// Writes or removes the dnsmasq host entry of a NIC (name, MAC, static addresses). Idempotent.
    virtual void set_nic(const std::string& network, const NicRecord& nic) = 0;
    virtual void remove_nic(const std::string& network, const NicRecord& nic) = 0;
    /// Drops what an interface of the host receives beyond @p bits per second; 0 takes the limit away, also that of an
    /// interface which has gone. Idempotent.
    virtual void limit_incoming(const std::string& link, std::uint64_t bits) = 0;
};

std::unique_ptr<NetworkManager> make_network_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, Reactor& reactor, const Logger& log);

} // namespace lxdcore::network
