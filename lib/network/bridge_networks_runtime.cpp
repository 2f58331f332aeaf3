// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>
#include <nlohmann/json.hpp>

#include "network/bridge_networks.hpp"
#include "network/host_links.hpp"
#include "network/network_usage.hpp"

namespace lxdcore::network {
namespace {

constexpr auto kRegular = std::chrono::milliseconds{30'000}; ///< between two looks at rules and retries

std::string value_of(const api::StringMap& map, const std::string& key) {
    const auto it = map.find(key);
    return it == map.end() ? "" : it->second;
}

} // namespace

BridgeNetworks::BridgeNetworks(db::Database& local, db::Database& global, const Dir& state_dir, EventService& events,
                               Reactor& reactor, const Logger& log)
    : global_{global}, intents_{local}, networks_{state_dir.make_dir("networks", 0711)}, events_{events}, log_{log},
      services_{networks_, firewall_, reactor, log, [this] {
                    {
                        const std::lock_guard lock{wake_mutex_};
                        poked_ = true;
                    }
                    wake_.notify_all();
                }} {}

BridgeNetworks::~BridgeNetworks() { stop(); }

BridgeNetworks::RuntimePtr BridgeNetworks::runtime(const std::string& name) const {
    auto runtimes = runtimes_.lock();
    RuntimePtr& entry = (*runtimes)[name];
    if (!entry) entry = std::make_shared<NetworkRuntime>(name, services_);
    return entry;
}

BridgeNetworks::RuntimePtr BridgeNetworks::existing(const std::string& name) const {
    const auto runtimes = runtimes_.lock();
    const auto it = runtimes->find(name);
    return it == runtimes->end() ? nullptr : it->second;
}

void BridgeNetworks::repair_rename(const std::string& from, const std::string& to) {
    // The row decides which name holds; the other one leaves the host.
    const bool renamed = global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, to).has_value(); });
    const std::string& keep = renamed ? to : from;
    const std::string& drop = renamed ? from : to;
    if (networks_.exists(drop) && networks_.exists(keep))
        erase_network(drop);
    else if (networks_.exists(drop))
        rename_on_host(drop, keep);
}

void BridgeNetworks::repair() {
    const auto has_row = [&](const std::string& name) {
        return global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, name).has_value(); });
    };
    for (const db::Intent& intent : intents_.pending("network-create")) {
        if (!has_row(intent.entity)) erase_network(intent.entity);
        intents_.end(intent.id);
    }
    for (const db::Intent& intent : intents_.pending("network-delete")) {
        erase_network(intent.entity);
        global_.write([&](db::Transaction& tx) { repository_.remove(tx, intent.entity); });
        intents_.end(intent.id);
    }
    for (const db::Intent& intent : intents_.pending("network-rename")) {
        repair_rename(intent.entity, nlohmann::json::parse(intent.data).value("to", ""));
        intents_.end(intent.id);
    }
}

void BridgeNetworks::start() {
    try {
        repair();
    } catch (const Error& e) { // the intents stay and the next start tries again
        log_.error("Failed repairing interrupted network changes", {{"err", e.what()}});
    }
    std::map<std::string, std::string> problems;
    for (const db::NetworkRow& row : global_.read_value([&](db::Transaction& tx) { return repository_.list(tx); })) {
        try {
            problems[row.name] = "";
            runtime(row.name)->up(parse_bridge_config(row.config));
        } catch (const Error& e) {
            log_.error("Failed initializing network", {{"network", row.name}, {"err", e.what()}});
            problems[row.name] = std::string{"Failed starting: "} + e.what();
            unavailable_.insert(row.name);
        }
    }
    note(problems);
    maintenance_ = std::jthread{[this](const std::stop_token& stop) { maintain(stop); }};
}

void BridgeNetworks::note(const std::map<std::string, std::string>& problems) noexcept {
    constexpr auto kType = db::WarningType::NetworkUnavailable;
    if (problems.empty()) return;
    try {
        global_.write([&](db::Transaction& tx) {
            for (const auto& [name, problem] : problems) {
                if (problem.empty())
                    warnings_.resolve_network(tx, kType, name);
                else
                    warnings_.raise_network(tx, kType, name, problem);
            }
        });
    } catch (const std::exception& e) {
        log_.warning("Failed to record a warning", {{"network", problems.begin()->first}, {"err", e.what()}});
    }
}

void BridgeNetworks::stop() noexcept {
    if (!maintenance_.joinable()) return;
    maintenance_.request_stop();
    maintenance_.join();
}

void BridgeNetworks::stop_all() {
    stop();
    const auto networks = [&] { return *runtimes_.lock(); }();
    for (const auto& [name, network] : networks) {
        try {
            network->down();
        } catch (const Error& e) {
            log_.error("Failed to bring down network", {{"network", name}, {"err", e.what()}});
        }
    }
}

void BridgeNetworks::maintain(const std::stop_token& stop) {
    auto pause = kRegular;
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock{wake_mutex_};
            wake_.wait_for(lock, stop, pause, [&] { return poked_; });
            poked_ = false;
        }
        if (stop.stop_requested()) return;
        pause = kRegular;
        const auto networks = [&] { return *runtimes_.lock(); }();
        if (networks.empty()) continue;
        const auto rules = firewall_.present();
        for (const auto& [name, network] : networks) {
            const auto next = network->check(rules);
            if (next) pause = std::min(pause, *next);
            if (network->available() && unavailable_.erase(name) > 0) note({{name, ""}});
        }
    }
}

api::Network BridgeNetworks::describe(const db::NetworkRow& row, const Usage& usage) const {
    api::Network network;
    network.name = row.name;
    network.description = row.description;
    network.config = row.config;
    network.type = "bridge";
    network.managed = true;
    network.used_by = usage.of(row.name);
    const RuntimePtr running = existing(row.name);
    network.status = running && running->available() ? "Created" : "Unavailable";
    network.locations = {"none"};
    return network;
}

std::vector<api::Network> BridgeNetworks::list(const std::string&) const {
    const auto rows = global_.read_value([&](db::Transaction& tx) { return repository_.list(tx); });
    const Usage usage = rows.empty() ? Usage{} : Usage::load(global_);
    std::vector<api::Network> result;
    std::vector<std::string> managed;
    for (const db::NetworkRow& row : rows) {
        result.push_back(describe(row, usage));
        managed.push_back(row.name);
    }
    for (api::Network& other : host_links::list(managed))
        result.push_back(std::move(other));
    return result;
}

std::vector<std::string> BridgeNetworks::names(const std::string&) const {
    auto result = global_.read_value([&](db::Transaction& tx) { return repository_.names(tx); });
    for (const api::Network& other : host_links::list(result))
        result.push_back(other.name);
    return result;
}

api::Network BridgeNetworks::get(const std::string&, const std::string& name) const {
    const auto row = global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, name); });
    if (row) return describe(*row, Usage::load(global_));
    if (auto link = host_links::find(name)) return *link;
    throw Error{ErrorCode::NotFound, "Network not found"};
}

std::vector<api::NetworkLease> BridgeNetworks::leases(const std::string& project, const std::string& name) const {
    const db::NetworkRow row = load(name);
    const BridgeConfig config = parse_bridge_config(row.config);
    std::vector<api::NetworkLease> result;
    for (const BridgeFamily* family : {&config.ipv4, &config.ipv6})
        if (family->address) result.push_back({name + ".gw", "", family->address->address.str(), "gateway", ""});
    std::map<std::string, std::string> instances; // by MAC
    for (const NicRecord& nic : nics_on(name)) {
        instances[nic.mac] = nic.project;
        if (!project.empty() && nic.project != project) continue;
        for (const std::string& address : {nic.ipv4, nic.ipv6})
            if (!address.empty() && address != "none")
                result.push_back({nic.instance, nic.mac, address, "static", "none"});
    }
    const RuntimePtr running = existing(name);
    for (const Lease& lease : running ? running->leases() : std::vector<Lease>{}) {
        const auto owner = instances.find(lease.mac);
        if (!project.empty() && owner != instances.end() && owner->second != project) continue;
        const bool listed = std::any_of(result.begin(), result.end(), [&](const api::NetworkLease& other) {
            return other.hwaddr == lease.mac && other.address == lease.address;
        });
        if (!listed) result.push_back({lease.hostname, lease.mac, lease.address, "dynamic", "none"});
    }
    return result;
}

std::string BridgeNetworks::bridge_of(const std::string&, const std::string& network) const {
    const RuntimePtr running = existing(network);
    if (!running) throw Error{ErrorCode::NotFound, "Network not found"};
    if (!running->available())
        throw Error{ErrorCode::Unavailable, fmt::format("Network \"{}\" unavailable on this server", network)};
    return network;
}

unsigned BridgeNetworks::mtu_of(const std::string&, const std::string& network) const {
    const RuntimePtr running = existing(network);
    if (!running) throw Error{ErrorCode::NotFound, "Network not found"};
    return running->config().mtu;
}

bool BridgeNetworks::is_managed(const std::string&, const std::string& network) const {
    return existing(network) != nullptr;
}

api::StringMap BridgeNetworks::config_of(const std::string&, const std::string& network) const {
    const auto row = global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, network); });
    if (!row) throw Error{ErrorCode::NotFound, "Network not found"};
    return row->config;
}

std::vector<NicRecord> BridgeNetworks::nics_on(const std::string& network) const {
    std::vector<NicRecord> result;
    for (const db::InstanceNic& nic :
         global_.read_value([&](db::Transaction& tx) { return repository_.instance_nics(tx); })) {
        if (!is_on(nic.config, network)) continue;
        result.push_back({nic.project, nic.instance, nic.device, nic.hwaddr, value_of(nic.config, "ipv4.address"),
                          value_of(nic.config, "ipv6.address")});
    }
    return result;
}

void BridgeNetworks::set_nic(const std::string& network, const NicRecord& nic) {
    if (const RuntimePtr running = existing(network)) running->set_host(nic);
}

void BridgeNetworks::remove_nic(const std::string& network, const NicRecord& nic) {
    if (const RuntimePtr running = existing(network)) running->remove_host(nic);
}

} // namespace lxdcore::network

namespace lxdcore {

NetworkService::~NetworkService() = default;

std::string NetworkService::etag(const api::Network& network) {
    return api::etag_of({network.name, network.managed, network.type, network.description, network.config});
}

} // namespace lxdcore
