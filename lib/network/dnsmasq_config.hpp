// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "network/bridge_config.hpp"
#include "network/network_manager.hpp"

namespace lxdcore::network {

/// The account dnsmasq runs as.
struct DnsmasqUser {
    std::string user, group;
};

/// The argument vector of the dnsmasq of bridge @p name; @p directory is networks/<name>, absolute.
std::vector<std::string> dnsmasq_argv(const std::string& name, const BridgeConfig& config, const std::string& directory,
                                      const DnsmasqUser& account);
/// dnsmasq.raw: the lines of raw.dnsmasq, through the emitter.
std::string dnsmasq_raw(const BridgeConfig& config);
/// The name that resolves to an instance: its own in the default project, else "<name>.<project>".
std::string dns_name(const std::string& project, const std::string& instance);
/// File name and line of a NIC below dnsmasq.hosts; the line is "" when dnsmasq needs to know nothing.
std::string host_file(const NicRecord& nic);
std::string host_line(const NicRecord& nic, DnsMode mode);

} // namespace lxdcore::network
