// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "admin/commands.hpp"

namespace lxdcore::daemon {

namespace {

using nlohmann::json;

void check(const InitOptions& options) {
    const auto refuse = [](const char* text) { throw Error{ErrorCode::InvalidArgument, text}; };
    const auto& backend = options.storage_backend;
    const bool extra =
        !options.storage_pool.empty() || !options.storage_create_device.empty() || options.storage_create_loop != -1;
    if (!backend.empty() && backend != "dir" && backend != "btrfs" && backend != "lvm" && backend != "zfs")
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("The requested backend '{}' isn't supported by lxd init", backend)};
    if ((backend.empty() || backend == "dir") && extra)
        refuse("None of --storage-pool, --storage-create-device or --storage-create-loop may be used with the 'dir' "
               "backend");
    if (!options.storage_create_device.empty() && options.storage_create_loop != -1)
        refuse("Only one of --storage-create-device or --storage-create-loop can be specified");
    if (options.network_address.empty()) {
        if (options.network_port != -1) refuse("--network-port can't be used without --network-address");
        if (!options.trust_password.empty()) refuse("--trust-password can't be used without --network-address");
    }
}

json pool_of(const InitOptions& options) {
    auto config = json::object();
    if (!options.storage_create_device.empty())
        config["source"] = options.storage_create_device;
    else if (options.storage_create_loop > 0)
        config["size"] = fmt::format("{}GB", options.storage_create_loop);
    else if (!options.storage_pool.empty())
        config["source"] = options.storage_pool;
    return {{"name", "default"},
            {"driver", options.storage_backend.empty() ? "dir" : options.storage_backend},
            {"config", config}};
}

} // namespace

std::string free_bridge_name() {
    for (int i = 0;; ++i)
        if (const auto name = fmt::format("lxdbr{}", i); !std::filesystem::exists("/sys/class/net/" + name))
            return name;
}

std::string listen_address(const InitOptions& options) {
    constexpr int kPort = 8443;
    const auto& host = options.network_address;
    const bool v6 = host.find(':') != std::string::npos && !host.starts_with('[');
    return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "",
                       options.network_port > 0 ? options.network_port : kPort);
}

void init_auto(const ApiClient& client, const InitOptions& options) {
    check(options);
    json preseed = {{"config", json::object()}, {"networks", json::array()}, {"storage_pools", json::array()}};
    auto devices = json::object();
    if (!options.network_address.empty()) preseed["config"]["core.https_address"] = listen_address(options);
    if (!options.trust_password.empty()) preseed["config"]["core.trust_password"] = options.trust_password;
    if (client.request("GET", "/1.0/storage-pools").empty()) {
        preseed["storage_pools"].push_back(pool_of(options));
        devices["root"] = {{"type", "disk"}, {"path", "/"}, {"pool", "default"}};
    }
    bool managed = false;
    for (const auto& network : client.request("GET", "/1.0/networks?recursion=1"))
        managed = managed || network.value("managed", false);
    if (!managed) {
        const auto name = free_bridge_name();
        preseed["networks"].push_back({{"name", name}, {"type", "bridge"}, {"config", json::object()}});
        devices["eth0"] = {{"type", "nic"}, {"name", "eth0"}, {"network", name}};
    }
    preseed["profiles"] = json::array({{{"name", "default"}, {"devices", devices}}});
    apply_preseed(client, preseed);
}

} // namespace lxdcore::daemon
