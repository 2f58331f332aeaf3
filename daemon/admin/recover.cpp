// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <map>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "admin/ask.hpp"
#include "admin/commands.hpp"

namespace lxdcore::daemon {

namespace {

using nlohmann::json;

std::string line_of(const json& pool) {
    const auto config = pool.value("config", json::object());
    return fmt::format("{} (backend=\"{}\", source=\"{}\")", json(pool.value("name", "")).dump(),
                       pool.value("driver", ""), config.value("source", ""));
}

json ask_pool(const std::string& backends) {
    json pool{{"config", json::object()}, {"description", ""}};
    pool["name"] = ask("Name of the storage pool", "");
    pool["driver"] = ask(fmt::format("Name of the storage backend ({})", backends), "");
    pool["config"]["source"] =
        ask("Source of the storage pool (block device, volume group, dataset, path, ... as applicable)", "");
    while (true) {
        const auto text = ask_any("Additional storage pool configuration property (KEY=VALUE, empty when done)");
        if (text.empty()) return pool;
        const auto at = text.find('=');
        if (at == std::string::npos) {
            std::cout << "Config option should be in the format KEY=VALUE\n";
            continue;
        }
        pool["config"][text.substr(0, at)] = text.substr(at + 1);
    }
}

std::string backends_of(const ApiClient& client) {
    const auto server = client.request("GET", "/1.0"); // outlives the loop over a part of it
    std::string names;
    for (const auto& driver : server.at("environment").at("storage_supported_drivers"))
        names += (names.empty() ? "" : ", ") + driver.value("Name", "");
    return names;
}

void print_volumes(const json& volumes) {
    std::cout << "The following unknown volumes have been found:\n";
    for (const auto& volume : volumes) {
        auto type = volume.value("type", "");
        if (!type.empty()) type.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(type.front())));
        std::cout << fmt::format(" - {} \"{}\" on pool \"{}\" in project \"{}\" (includes {} snapshots)\n", type,
                                 volume.value("name", ""), volume.value("pool", ""), volume.value("project", ""),
                                 volume.value("snapshotCount", 0));
    }
}

} // namespace

void recover(const ApiClient& client) {
    auto pools = json::array();
    const auto known = client.request("GET", "/1.0/storage-pools?recursion=1");
    if (!known.empty()) std::cout << "This LXD server currently has the following storage pools:\n";
    for (const auto& pool : known) {
        std::cout << fmt::format(" - {} (backend=\"{}\", source=\"{}\")\n", pool.value("name", ""),
                                 pool.value("driver", ""), pool["config"].value("source", ""));
        pools.push_back({{"name", pool["name"]}, {"driver", pool["driver"]}, {"config", pool["config"]}});
    }
    const auto existing = pools.size();
    while (ask_yes("Would you like to recover another storage pool?", false))
        pools.push_back(ask_pool(backends_of(client)));
    if (pools.empty()) {
        std::cout << "No pools to recover. Nothing to do.\n";
        return;
    }
    std::cout << "The recovery process will be scanning the following storage pools:\n";
    for (std::size_t i = 0; i < pools.size(); ++i)
        std::cout << " - " << (i < existing ? "EXISTING: " : "NEW: ") << line_of(pools[i]) << "\n";
    if (!ask_yes("Would you like to continue with scanning for lost volumes?", true)) return;
    std::cout << "Scanning for unknown volumes...\n";
    const json request{{"Pools", pools}};
    json found;
    while (true) {
        found = client.request("POST", "/internal/recover/validate", request);
        if (found["DependencyErrors"].is_null()) break;
        std::cout << "You are currently missing the following:\n";
        for (const auto& error : found["DependencyErrors"])
            std::cout << " - " << error.get<std::string>() << "\n";
        ask_any("Please create those missing entries and then hit ENTER");
    }
    if (found["UnknownVolumes"].is_null()) {
        std::cout << "No unknown volumes found. Nothing to do.\n";
        return;
    }
    print_volumes(found["UnknownVolumes"]);
    if (!ask_yes("Would you like those to be recovered?", false)) return;
    std::cout << "Starting recovery...\n";
    client.request("POST", "/internal/recover/import", request);
}

} // namespace lxdcore::daemon
