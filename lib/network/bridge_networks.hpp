// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "db/intents.hpp"
#include "db/network_repository.hpp"
#include "db/warning_repository.hpp"
#include "network/network_manager.hpp"
#include "network/network_runtime.hpp"
#include "util/entity_locks.hpp"
#include "util/locked.hpp"

namespace lxdcore::network {

/// The network service with managed bridges. Rows first say what is to be; runtimes bring it about; a maintenance
/// thread repairs what is lost. Thread-safe.
class BridgeNetworks final : public NetworkManager {
public:
    BridgeNetworks(db::Database& local, db::Database& global, const Dir& state_dir, EventService& events,
                   Reactor& reactor, const Logger& log);
    ~BridgeNetworks() override;

    std::vector<api::Network> list(const std::string& project) const override;
    std::vector<std::string> names(const std::string& project) const override;
    api::Network get(const std::string& project, const std::string& name) const override;
    void create(const std::string& project, const api::NetworksPost& network) override;
    void update(const std::string& project, const std::string& name, const api::NetworkPut& network,
                const std::string& if_match) override;
    void patch(const std::string& project, const std::string& name, const api::NetworkPatch& network,
               const std::string& if_match) override;
    void rename(const std::string& project, const std::string& name, const std::string& new_name) override;
    void remove(const std::string& project, const std::string& name) override;
    std::vector<api::NetworkLease> leases(const std::string& project, const std::string& name) const override;
    api::NetworkState state(const std::string& project, const std::string& name) const override;

    void stop_all() override;
    void start() override;
    void stop() noexcept override;
    std::string bridge_of(const std::string& project, const std::string& network) const override;
    unsigned mtu_of(const std::string& project, const std::string& network) const override;
    bool is_managed(const std::string& project, const std::string& network) const override;
    api::StringMap config_of(const std::string& project, const std::string& network) const override;
    std::vector<NicRecord> nics_on(const std::string& network) const override;
    void set_nic(const std::string& network, const NicRecord& nic) override;
    void remove_nic(const std::string& network, const NicRecord& nic) override;
    void limit_incoming(const std::string& link, std::uint64_t bits) override { firewall_.limit_incoming(link, bits); }

private:
    using RuntimePtr = std::shared_ptr<NetworkRuntime>;
    struct Usage; ///< who uses which network

    RuntimePtr runtime(const std::string& name) const; ///< made if missing
    RuntimePtr existing(const std::string& name) const;
    void erase_network(const std::string& name); ///< from the host and from disk; absent is fine
    db::NetworkRow load(const std::string& name) const;
    api::Network describe(const db::NetworkRow& row, const Usage& usage) const;
    void resolve_auto(api::StringMap& config) const;
    void apply_update(db::NetworkRow row, const api::StringMap& config, const std::string& description);
    void rename_on_host(const std::string& from, const std::string& to);
    void repair();
    void repair_rename(const std::string& from, const std::string& to);
    void maintain(const std::stop_token& stop);
    /// Keeps the warning that a network could not be started, or settles it ("").
    void note(const std::map<std::string, std::string>& problems) noexcept;

    db::Database& global_;
    db::IntentLog intents_;
    db::NetworkRepository repository_;
    db::WarningRepository warnings_;
    Dir networks_;
    EventService& events_;
    const Logger& log_;
    Firewall firewall_;
    RuntimeServices services_;
    EntityLocks locks_;
    Locked<std::map<std::string, RuntimePtr>> runtimes_;
    std::mutex wake_mutex_;
    std::condition_variable_any wake_;
    bool poked_ = false;
    std::set<std::string> unavailable_; ///< from the start; after it the maintenance thread's
    std::jthread maintenance_;
};

} // namespace lxdcore::network
