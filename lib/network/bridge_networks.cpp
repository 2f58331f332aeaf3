// SPDX-License-Identifier: Apache-2.0
#include "network/bridge_networks.hpp"

#include <sys/random.h>

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/api/codec.hpp>
#include <lxdcore/caller.hpp>
#include <lxdcore/error.hpp>
#include <nlohmann/json.hpp>

#include "network/host_links.hpp"
#include "network/network_usage.hpp"
#include "network/subnet.hpp"
#include "system/netlink.hpp"
#include "system/sysctl.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"

namespace lxdcore::network {
namespace {

constexpr const char* kCreate = "network-create";
constexpr const char* kDelete = "network-delete";
constexpr const char* kRename = "network-rename";

std::string source_of(const std::string& name) { return "/1.0/networks/" + name; }

void random_bytes(std::uint8_t* out, std::size_t count) {
    if (::getrandom(out, count, 0) != static_cast<ssize_t>(count)) throw_errno("getrandom");
}

/// What a new network gets where its creator said nothing.
void fill_defaults(api::StringMap& config) {
    for (const std::string family : {"ipv4", "ipv6"}) {
        if (family == "ipv6" && !sysctl::exists("net/ipv6")) continue;
        std::string& address = config[family + ".address"];
        if (address.empty()) address = "auto";
        if (address == "auto" && config[family + ".nat"].empty()) config[family + ".nat"] = "true";
    }
}

void drop_empty(api::StringMap& config) {
    std::erase_if(config, [](const auto& item) { return item.second.empty(); });
}

/// raw.dnsmasq can make dnsmasq do anything on the host that its user can (R26).
void require_admin_for_raw(const api::StringMap& before, const api::StringMap& after) {
    const auto value = [](const api::StringMap& config) {
        const auto it = config.find("raw.dnsmasq");
        return it == config.end() ? std::string{} : it->second;
    };
    if (value(before) != value(after) && !CallerScope::current().admin)
        throw Error{ErrorCode::Forbidden, "not authorized"};
}

void check_type(const std::string& type) {
    if (type.empty() || type == "bridge") return;
    for (const char* known : {"macvlan", "sriov", "ovn", "physical"})
        if (type == known)
            throw Error{ErrorCode::Unsupported,
                        fmt::format("Network type \"{}\" is not supported by this server", type)};
    throw Error{ErrorCode::InvalidArgument, "Unknown driver"};
}

void check_new_name(const std::string& name) {
    names::check_network(name);
    if (name == "all" || name == "default") // the kernel's words for every interface
        throw Error{ErrorCode::InvalidArgument, "Network interface contains invalid characters"};
}

void require_free_interface(const std::string& name) {
    if (Netlink{}.find(name))
        throw Error{ErrorCode::Internal, fmt::format("Network interface \"{}\" already exists", name)};
}

} // namespace

void BridgeNetworks::resolve_auto(api::StringMap& config) const {
    const auto wants = [&](const char* key) {
        const auto it = config.find(key);
        return it != config.end() && it->second == "auto";
    };
    if (!wants("ipv4.address") && !wants("ipv6.address")) return;
    const Netlink netlink;
    std::vector<IpNetwork> taken = netlink.all_addresses();
    for (const RouteInfo& route : netlink.routes())
        taken.push_back(route.destination);
    for (const db::NetworkRow& row : global_.read_value([&](db::Transaction& tx) { return repository_.list(tx); })) {
        const BridgeConfig other = parse_bridge_config(row.config); // one that is down now has no route
        if (other.ipv4.address) taken.push_back(*other.ipv4.address);
        if (other.ipv6.address) taken.push_back(*other.ipv6.address);
    }
    if (wants("ipv4.address")) config["ipv4.address"] = choose_ipv4(taken, random_bytes).str();
    if (wants("ipv6.address")) config["ipv6.address"] = choose_ipv6(taken, random_bytes).str();
}

void BridgeNetworks::create(const std::string&, const api::NetworksPost& network) {
    if (network.name.empty()) throw Error{ErrorCode::InvalidArgument, "No name provided"};
    check_new_name(network.name);
    const auto guard = locks_.lock("networks/" + network.name);
    if (global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, network.name).has_value(); }))
        throw Error{ErrorCode::InvalidArgument, "The network already exists"};
    check_type(network.type);
    require_admin_for_raw({}, network.config);
    db::NetworkRow row{.name = network.name, .description = network.description, .config = network.config};
    fill_defaults(row.config);
    resolve_auto(row.config);
    drop_empty(row.config);
    validate_bridge_config(row.name, row.config);
    require_free_interface(row.name);

    const std::int64_t intent = intents_.begin(kCreate, "default", row.name);
    {
        Rollback undo;
        undo.add([&] { intents_.end(intent); });
        undo.add([&] { erase_network(row.name); });
        runtime(row.name)->up(parse_bridge_config(row.config));
        global_.write([&](db::Transaction& tx) { repository_.insert(tx, row); });
        undo.commit();
    }
    intents_.end(intent);
    events_.lifecycle("default", "network-created", source_of(row.name), nullptr);
}

void BridgeNetworks::apply_update(db::NetworkRow row, const api::StringMap& config, const std::string& description) {
    require_admin_for_raw(row.config, config);
    const BridgeConfig before = parse_bridge_config(row.config);
    row.config = config;
    row.description = description;
    resolve_auto(row.config);
    drop_empty(row.config);
    try {
        validate_bridge_config(row.name, row.config);
    } catch (const Error& error) { // LXD: 500 at creation, 400 here
        throw Error{ErrorCode::InvalidArgument, error.what()};
    }
    const RuntimePtr running = runtime(row.name);
    {
        Rollback undo; // a crash in between is repaired by the next start, which brings up what is stored
        undo.add([&] { running->up(before); });
        running->up(parse_bridge_config(row.config));
        global_.write([&](db::Transaction& tx) { repository_.update(tx, row); });
        undo.commit();
    }
    events_.lifecycle("default", "network-updated", source_of(row.name), nullptr);
}

void BridgeNetworks::update(const std::string& project, const std::string& name, const api::NetworkPut& network,
                            const std::string& if_match) {
    const auto guard = locks_.lock("networks/" + name);
    db::NetworkRow row = load(name);
    if (!if_match.empty()) api::check_etag(etag(get(project, name)), if_match);
    apply_update(std::move(row), network.config, network.description);
}

void BridgeNetworks::patch(const std::string& project, const std::string& name, const api::NetworkPatch& network,
                           const std::string& if_match) {
    const auto guard = locks_.lock("networks/" + name);
    db::NetworkRow row = load(name);
    if (!if_match.empty()) api::check_etag(etag(get(project, name)), if_match);
    api::StringMap config = row.config;
    if (network.config)
        for (const auto& [key, value] : *network.config)
            config[key] = value;
    apply_update(std::move(row), config, network.description.value_or("")); // LXD clears what is not given
}

void BridgeNetworks::rename_on_host(const std::string& from, const std::string& to) {
    runtime(from)->down();
    runtimes_.lock()->erase(from);
    networks_.rename(from, to);
}

void BridgeNetworks::rename(const std::string&, const std::string& name, const std::string& new_name) {
    if (new_name.empty()) throw Error{ErrorCode::InvalidArgument, "New network name not provided"};
    check_new_name(new_name);
    const auto first = locks_.lock("networks/" + std::min(name, new_name));
    const auto second = name == new_name ? EntityLocks::Guard{} : locks_.lock("networks/" + std::max(name, new_name));
    const db::NetworkRow row = load(name);
    if (!Usage::load(global_).of(name).empty()) throw Error{ErrorCode::BadState, "Network is currently in use"};
    if (global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, new_name).has_value(); }))
        throw Error{ErrorCode::AlreadyExists, fmt::format("Network \"{}\" already exists", new_name)};
    require_free_interface(new_name);

    const BridgeConfig config = parse_bridge_config(row.config);
    const std::int64_t intent = intents_.begin(kRename, "default", name, nlohmann::json{{"to", new_name}}.dump());
    {
        Rollback undo;
        undo.add([&] { intents_.end(intent); });
        undo.add([&] {
            repair_rename(name, new_name);
            runtime(name)->up(config);
        });
        networks_.remove_tree(new_name);
        rename_on_host(name, new_name);
        runtime(new_name)->up(config);
        global_.write([&](db::Transaction& tx) { repository_.rename(tx, name, new_name); });
        undo.commit();
    }
    intents_.end(intent);
    events_.lifecycle("default", "network-renamed", source_of(new_name), {{"old_name", name}});
}

void BridgeNetworks::remove(const std::string&, const std::string& name) {
    const auto guard = locks_.lock("networks/" + name);
    load(name);
    if (!Usage::load(global_).of(name).empty()) throw Error{ErrorCode::BadState, "The network is currently in use"};
    const std::int64_t intent = intents_.begin(kDelete, "default", name);
    erase_network(name);
    global_.write([&](db::Transaction& tx) { repository_.remove(tx, name); });
    intents_.end(intent);
    events_.lifecycle("default", "network-deleted", source_of(name), nullptr);
}

db::NetworkRow BridgeNetworks::load(const std::string& name) const {
    auto row = global_.read_value([&](db::Transaction& tx) { return repository_.find(tx, name); });
    if (!row) throw Error{ErrorCode::NotFound, "Failed loading network: Network not found"};
    return *row;
}

void BridgeNetworks::erase_network(const std::string& name) {
    runtime(name)->down();
    runtimes_.lock()->erase(name);
    networks_.remove_tree(name);
}

api::NetworkState BridgeNetworks::state(const std::string&, const std::string& name) const {
    return host_links::state(name);
}

std::unique_ptr<NetworkManager> make_network_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                     EventService& events, Reactor& reactor, const Logger& log) {
    return std::make_unique<BridgeNetworks>(local, global, state_dir, events, reactor, log);
}

} // namespace lxdcore::network
