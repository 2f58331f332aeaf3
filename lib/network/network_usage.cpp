// SPDX-License-Identifier: Apache-2.0
#include "network/network_usage.hpp"

#include <algorithm>

namespace lxdcore::network {
namespace {

std::string value_of(const api::Device& device, const char* key) {
    const auto it = device.find(key);
    return it == device.end() ? "" : it->second;
}

void add_url(std::vector<std::string>& urls, const char* kind, const std::string& name, const std::string& project) {
    std::string url = std::string{"/1.0/"} + kind + "/" + name;
    if (project != "default") url += "?project=" + project;
    if (std::find(urls.begin(), urls.end(), url) == urls.end()) urls.push_back(std::move(url));
}

} // namespace

bool is_on(const api::Device& nic, const std::string& network) {
    if (const std::string named = value_of(nic, "network"); !named.empty()) return named == network;
    const std::string type = value_of(nic, "nictype");
    return (type == "bridged" || type == "macvlan") && value_of(nic, "parent") == network;
}

BridgeNetworks::Usage BridgeNetworks::Usage::load(db::Database& global) {
    return global.read_value([](db::Transaction& tx) {
        const db::NetworkRepository repository;
        return Usage{repository.profile_nics(tx), repository.instance_nics(tx)};
    });
}

std::vector<std::string> BridgeNetworks::Usage::of(const std::string& network) const {
    std::vector<std::string> urls;
    for (const db::ProfileNic& nic : profiles)
        if (is_on(nic.config, network)) add_url(urls, "profiles", nic.profile, nic.project);
    for (const db::InstanceNic& nic : instances)
        if (is_on(nic.config, network)) add_url(urls, "instances", nic.instance, nic.project);
    return urls;
}

} // namespace lxdcore::network
