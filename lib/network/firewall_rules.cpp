// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <nlohmann/json.hpp>

#include "network/firewall.hpp"

namespace lxdcore::network::rules {
namespace {

using nlohmann::json;

constexpr const char* kTable = "lxdcore";
constexpr const char* kHooks[] = {"pstrt", "fwd", "in", "out"};

struct Chain {
    std::string prefix, type, hook;
    int priority;
    std::vector<json> rules; ///< expressions of each
};

json match(json left, json right, const char* op = "==") {
    return {{"match", {{"op", op}, {"left", std::move(left)}, {"right", std::move(right)}}}};
}
json payload(const char* protocol, const char* field) {
    return {{"payload", {{"protocol", protocol}, {"field", field}}}};
}
json interface(const char* key, const std::string& name) { return match({{"meta", {{"key", key}}}}, name); }
json port(const char* protocol, const char* field, int number) { return match(payload(protocol, field), number); }
json types(const char* protocol, const std::vector<std::string>& names) {
    return match(payload(protocol, "type"), {{"set", names}});
}
json accept() { return {{"accept", nullptr}}; }

json prefix_of(const IpNetwork& network) {
    return {{"prefix", {{"addr", network.first().str()}, {"len", network.prefix}}}};
}

void add_nat(Chain& chain, const char* protocol, const BridgeFamily& family) {
    if (!family.address || !family.nat) return;
    json action = {{"masquerade", nullptr}};
    if (!family.nat_address.empty()) action = {{"snat", {{"family", protocol}, {"addr", family.nat_address}}}};
    chain.rules.push_back(json::array({match(payload(protocol, "saddr"), prefix_of(*family.address)),
                                       match(payload(protocol, "daddr"), prefix_of(*family.address), "!="), action}));
}

void add_forward(Chain& chain, const std::string& network, const char* protocol, int version, const char* icmp,
                 const BridgeFamily& family) {
    if (!family.address || !family.firewall) return;
    const json verdict = family.routing ? accept() : json{{"reject", {{"type", icmp}, {"expr", "port-unreachable"}}}};
    for (const char* direction : {"oifname", "iifname"})
        chain.rules.push_back(
            json::array({match(payload(protocol, "version"), version), interface(direction, network), verdict}));
}

/// DNS and DHCP between the bridge and the host; @p input: towards the host.
void add_services(Chain& chain, const std::string& network, const BridgeConfig& config, bool input) {
    const json on = interface(input ? "iifname" : "oifname", network);
    const char* field = input ? "dport" : "sport";
    const auto add = [&](json condition) { chain.rules.push_back(json::array({on, std::move(condition), accept()})); };
    const bool v4 = config.ipv4.address && config.ipv4.firewall;
    const bool v6 = config.ipv6.address && config.ipv6.firewall;
    if (v4 || v6) {
        add(port("tcp", field, 53));
        add(port("udp", field, 53));
    }
    if (v4) {
        add(types("icmp", {"destination-unreachable", "time-exceeded", "parameter-problem"}));
        if (config.ipv4.dhcp) add(port("udp", field, 67));
    }
    if (!v6) return;
    std::vector<std::string> kinds{"destination-unreachable", "packet-too-big",      "time-exceeded",
                                   "parameter-problem",       "nd-neighbor-solicit", "nd-neighbor-advert",
                                   "mld2-listener-report"};
    kinds.insert(kinds.end(), input ? std::initializer_list<std::string>{"nd-router-solicit"}
                                    : std::initializer_list<std::string>{"echo-request", "nd-router-advert"});
    add(types("icmpv6", kinds));
    if (config.ipv6.dhcp) add(port("udp", field, 547));
}

std::vector<Chain> chains_of(const std::string& network, const BridgeConfig& config) {
    std::vector<Chain> chains{{"pstrt", "nat", "postrouting", 100, {}},
                              {"fwd", "filter", "forward", 0, {}},
                              {"in", "filter", "input", 0, {}},
                              {"out", "filter", "output", 0, {}}};
    add_nat(chains[0], "ip", config.ipv4);
    add_nat(chains[0], "ip6", config.ipv6);
    add_forward(chains[1], network, "ip", 4, "icmp", config.ipv4);
    add_forward(chains[1], network, "ip6", 6, "icmpv6", config.ipv6);
    add_services(chains[2], network, config, true);
    add_services(chains[3], network, config, false);
    std::erase_if(chains, [](const Chain& chain) { return chain.rules.empty(); });
    return chains;
}

json chain_name(const std::string& name) { return {{"family", "inet"}, {"table", kTable}, {"name", name}}; }

/// Adding first makes the deletion succeed whether or not the chain is there, within the one transaction.
void append_removal(json& commands, const std::string& network) {
    commands.push_back({{"add", {{"table", {{"family", "inet"}, {"name", kTable}}}}}});
    for (const char* hook : kHooks) {
        const json chain = chain_name(std::string{hook} + "." + network);
        commands.push_back({{"add", {{"chain", chain}}}});
        commands.push_back({{"flush", {{"chain", chain}}}});
        commands.push_back({{"delete", {{"chain", chain}}}});
    }
}

} // namespace

json replace(const std::string& network, const BridgeConfig& config) {
    json commands = json::array();
    append_removal(commands, network);
    for (const Chain& chain : chains_of(network, config)) {
        json base = chain_name(chain.prefix + "." + network);
        const json name = base["name"];
        base.update({{"type", chain.type}, {"hook", chain.hook}, {"prio", chain.priority}, {"policy", "accept"}});
        commands.push_back({{"add", {{"chain", base}}}});
        for (const json& expressions : chain.rules)
            commands.push_back(
                {{"add", {{"rule", {{"family", "inet"}, {"table", kTable}, {"chain", name}, {"expr", expressions}}}}}});
    }
    return {{"nftables", commands}};
}

json remove(const std::string& network) {
    json commands = json::array();
    append_removal(commands, network);
    return {{"nftables", commands}};
}

json limit_incoming(const std::string& link, std::uint64_t bits) {
    constexpr std::uint64_t kBurst = 1 << 20; // bytes, as LXD
    const json table{{"family", "netdev"}, {"name", "lxdcore." + link}};
    json commands = json::array({{{"add", {{"table", table}}}}, {{"delete", {{"table", table}}}}});
    if (bits == 0) return {{"nftables", commands}};
    json chain{{"family", "netdev"}, {"table", table["name"]}, {"name", "limit"}};
    const json limit{{"rate", bits / 8}, {"rate_unit", "bytes"},  {"per", "second"},
                     {"burst", kBurst},  {"burst_unit", "bytes"}, {"inv", true}};
    json rule{{"family", "netdev"}, {"table", table["name"]}, {"chain", "limit"}};
    rule["expr"] = json::array({{{"limit", limit}}, {{"drop", nullptr}}});
    chain.update({{"type", "filter"}, {"hook", "ingress"}, {"dev", link}, {"prio", 0}, {"policy", "accept"}});
    for (json& object : std::vector<json>{{{"table", table}}, {{"chain", chain}}, {{"rule", rule}}})
        commands.push_back({{"add", object}});
    return {{"nftables", commands}};
}

std::map<std::string, std::size_t> expected(const std::string& network, const BridgeConfig& config) {
    std::map<std::string, std::size_t> result;
    for (const Chain& chain : chains_of(network, config))
        result[chain.prefix + "." + network] = chain.rules.size();
    return result;
}

} // namespace lxdcore::network::rules
