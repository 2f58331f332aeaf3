// SPDX-License-Identifier: Apache-2.0
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iostream>
#include <map>

#include <fmt/format.h>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "admin/ask.hpp"
#include "admin/commands.hpp"

namespace lxdcore::daemon {

namespace {

using nlohmann::json;

/// Without echo on a terminal; asked twice.
std::string ask_password() {
    struct Quiet {
        Quiet() : active{::tcgetattr(STDIN_FILENO, &before) == 0} {
            auto quiet = before;
            quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
            if (active) ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
        }
        ~Quiet() {
            if (active) ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
        }
        termios before{};
        bool active;
    };
    while (true) {
        const Quiet quiet;
        std::cout << "Trust password for new clients: " << std::flush;
        const auto first = read_line();
        std::cout << "\nAgain: " << std::flush;
        const auto second = read_line();
        std::cout << "\n";
        if (!first.empty() && first == second) return first;
        std::cerr << "Invalid input, try again.\n\n";
    }
}

void ask_storage(const ApiClient& client, json& preseed, json& devices) {
    const auto pools = client.request("GET", "/1.0/storage-pools");
    if (!ask_yes("Do you want to configure a new storage pool?", pools.empty())) return;
    const auto is_new = [&](const std::string& name) {
        const bool taken = std::find(pools.begin(), pools.end(), "/1.0/storage-pools/" + name) != pools.end();
        if (taken) std::cerr << "The storage pool " << name << " exists already.\n";
        return !taken;
    };
    const auto name = ask("Name of the new storage pool", pools.empty() ? "default" : "", is_new);
    const auto drivers = client.request("GET", "/1.0")["environment"]["storage_supported_drivers"];
    std::vector<std::string> names;
    for (const auto& driver : drivers)
        names.push_back(driver.value("Name", ""));
    std::string driver = "dir";
    if (names.size() > 1)
        driver = ask(fmt::format("Name of the storage backend to use ({})", fmt::join(names, ", ")), driver,
                     [&](const auto& given) { return std::find(names.begin(), names.end(), given) != names.end(); });
    preseed["storage_pools"].push_back({{"name", name}, {"driver", driver}});
    devices["root"] = {{"type", "disk"}, {"path", "/"}, {"pool", name}};
}

void ask_network(const ApiClient& client, json& preseed, json& devices) {
    bool managed = false;
    std::map<std::string, std::string> types;
    for (const auto& network : client.request("GET", "/1.0/networks?recursion=1")) {
        managed = managed || network.value("managed", false);
        types[network.value("name", "")] = network.value("type", "");
    }
    if (ask_yes("Would you like to create a new local network bridge?", !managed)) {
        const auto name = ask("What should the new bridge be called?", free_bridge_name(),
                              [&](const auto& given) { return !types.contains(given); });
        json config;
        for (const char* family : {"ipv4", "ipv6"})
            config[std::string{family} + ".address"] =
                ask(fmt::format("What {} address should be used? (CIDR subnet notation, \"auto\" or \"none\")",
                                family == std::string{"ipv4"} ? "IPv4" : "IPv6"),
                    "auto");
        preseed["networks"].push_back({{"name", name}, {"type", "bridge"}, {"config", config}});
        devices["eth0"] = {{"type", "nic"}, {"name", "eth0"}, {"network", name}};
    } else if (ask_yes("Would you like to use an existing bridge?", false)) {
        const auto is_bridge = [&](const auto& given) { return types.contains(given) && types[given] == "bridge"; };
        const auto name = ask("Name of the existing bridge", "", is_bridge);
        devices["eth0"] = {{"type", "nic"}, {"name", "eth0"}, {"nictype", "bridged"}, {"parent", name}};
    }
}

void ask_access(json& preseed) {
    if (!ask_yes("Would you like the server to be available over the network?", false)) return;
    InitOptions options;
    options.network_address = ask("Address to bind to (not including port)", "all");
    if (options.network_address == "all") options.network_address = "[::]";
    const auto is_port = [&](const std::string& text) {
        const auto end = text.data() + text.size();
        const auto [rest, ec] = std::from_chars(text.data(), end, options.network_port);
        return ec == std::errc{} && rest == end && options.network_port > 0 && options.network_port <= 65535;
    };
    ask("Port to bind to", "8443", is_port);
    preseed["config"]["core.https_address"] = listen_address(options);
    preseed["config"]["core.trust_password"] = ask_password();
}

} // namespace

void init_ask(const ApiClient& client) {
    client.request("GET", "/1.0");
    json preseed = {{"config", json::object()}, {"networks", json::array()}, {"storage_pools", json::array()}};
    auto devices = json::object();
    ask_storage(client, preseed, devices);
    ask_network(client, preseed, devices);
    ask_access(preseed);
    preseed["profiles"] = json::array({{{"name", "default"}, {"devices", devices}}});
    if (ask_yes("Would you like a YAML \"init\" preseed to be printed?", false))
        std::cout << api::encode_yaml(preseed) << "\n";
    apply_preseed(client, preseed);
}

} // namespace lxdcore::daemon
