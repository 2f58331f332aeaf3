// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "network/bridge_config.hpp"

namespace lxdcore::network {

/// The transactions of a network's rules, as libnftables takes them. All rules live in the own table `inet lxdcore`, in
/// chains named "<hook>.<network>", and in a table `netdev lxdcore.<interface>` for each limited interface; nothing
/// else is ever named. Reentrant.
namespace rules {
nlohmann::json replace(const std::string& network, const BridgeConfig& config); ///< complete and atomic
nlohmann::json remove(const std::string& network);                              ///< safe when nothing is there
nlohmann::json limit_incoming(const std::string& link, std::uint64_t bits);     ///< 0: none
/// Number of rules by chain that replace() makes.
std::map<std::string, std::size_t> expected(const std::string& network, const BridgeConfig& config);
} // namespace rules

/// Applies rulesets through libnftables, each in one kernel transaction. The rules outlive the process. Thread-safe.
class Firewall {
public:
    Firewall();
    ~Firewall();
    void apply(const std::string& network, const BridgeConfig& config);
    void limit_incoming(const std::string& link, std::uint64_t bits);
    /// Also removes the table when no chain is left in it.
    void remove(const std::string& network);
    /// Rules by chain that are in the kernel now; empty when the table is not there.
    std::map<std::string, std::size_t> present() const;

private:
    nlohmann::json run(const nlohmann::json& commands) const;
    std::map<std::string, std::size_t> list() const;

    mutable std::mutex mutex_; ///< libnftables keeps global state
};

} // namespace lxdcore::network
