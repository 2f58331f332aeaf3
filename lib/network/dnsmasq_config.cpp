// SPDX-License-Identifier: Apache-2.0
#include "network/dnsmasq_config.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "util/emitter.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::network {
namespace {

using Arguments = std::vector<std::string>;

void add(Arguments& argv, std::initializer_list<std::string> more) { argv.insert(argv.end(), more); }

void add_lease_files(Arguments& argv, const std::string& directory) {
    if (std::find(argv.begin(), argv.end(), "--dhcp-no-override") != argv.end()) return;
    add(argv, {"--dhcp-no-override", "--dhcp-authoritative", "--dhcp-leasefile=" + directory + "/dnsmasq.leases",
               "--dhcp-hostsfile=" + directory + "/dnsmasq.hosts"});
}

void add_ipv4(Arguments& argv, const BridgeConfig& config, const std::string& directory) {
    const BridgeFamily& family = config.ipv4;
    if (!family.address) return;
    add(argv, {"--listen-address=" + family.address->address.str()});
    if (!family.dhcp) return;
    add_lease_files(argv, directory);
    if (!family.gateway.empty()) add(argv, {"--dhcp-option-force=3," + family.gateway});
    if (config.mtu != 1500) add(argv, {fmt::format("--dhcp-option-force=26,{}", config.mtu)});
    if (!config.search.empty()) add(argv, {"--dhcp-option-force=119," + config.search});
    auto ranges = family.ranges;
    if (ranges.empty())
        ranges.emplace_back(family.address->first().plus(2).str(), family.address->last().plus(-1).str());
    for (const auto& [first, last] : ranges)
        add(argv, {"--dhcp-range", fmt::format("{},{},{}", first, last, family.expiry)});
}

void add_ipv6(Arguments& argv, const std::string& name, const BridgeConfig& config, const std::string& directory) {
    const BridgeFamily& family = config.ipv6;
    if (!family.address) return;
    add(argv, {"--listen-address=" + family.address->address.str(), "--enable-ra"});
    if (!family.dhcp) {
        add(argv, {"--dhcp-range", fmt::format("::,constructor:{},ra-only", name)});
        return;
    }
    add_lease_files(argv, directory);
    if (!family.stateful) {
        add(argv, {"--dhcp-range", fmt::format("::,constructor:{},ra-stateless,ra-names", name)});
        return;
    }
    auto ranges = family.ranges;
    if (ranges.empty()) ranges.emplace_back(family.address->first().plus(2).str(), family.address->last().str());
    for (const auto& [first, last] : ranges)
        add(argv, {"--dhcp-range", fmt::format("{},{},{},{}", first, last, family.address->prefix, family.expiry)});
}

} // namespace

std::vector<std::string> dnsmasq_argv(const std::string& name, const BridgeConfig& config, const std::string& directory,
                                      const DnsmasqUser& account) {
    Arguments argv{"dnsmasq",           "--keep-in-foreground",  "--strict-order",
                   "--bind-interfaces", "--except-interface=lo", "--pid-file=" + directory + "/dnsmasq.pid",
                   "--no-ping",         "--interface=" + name,   "--dhcp-rapid-commit",
                   "--quiet-dhcp",      "--quiet-dhcp6",         "--quiet-ra"};
    add_ipv4(argv, config, directory);
    add_ipv6(argv, name, config, directory);
    // A guest may ask for any name it likes; only the entries that we write are believed (R36).
    if (config.dns != DnsMode::Dynamic) add(argv, {"--dhcp-ignore-names"});
    if (config.dns != DnsMode::None)
        add(argv, {"-s", config.domain, "--interface-name", fmt::format("_gateway.{},{}", config.domain, name), "-S",
                   fmt::format("/{}/", config.domain)});
    add(argv, {"--conf-file=" + directory + "/dnsmasq.raw", "-u", account.user, "-g", account.group});
    for (const std::string& argument : argv) {
        if (names::has_control(argument))
            throw Error{ErrorCode::InvalidArgument, "control characters are not allowed in network options"};
    }
    return argv;
}

std::string dnsmasq_raw(const BridgeConfig& config) {
    Emitter out;
    for (const std::string& line : text::split(config.raw, '\n'))
        out.line(line);
    return out.text();
}

std::string dns_name(const std::string& project, const std::string& instance) {
    return project.empty() || project == "default" ? instance : instance + "." + project;
}

std::string host_file(const NicRecord& nic) {
    names::check_instance(nic.instance);
    names::check_device(nic.device);
    const bool outside = !nic.project.empty() && nic.project != "default";
    if (outside) names::check_project(nic.project);
    return (outside ? nic.project + "_" : "") + nic.instance + "." + nic.device;
}

std::string host_line(const NicRecord& nic, DnsMode mode) {
    std::vector<std::string> fields{nic.mac};
    if (const auto v4 = IpAddress::parse(nic.ipv4)) fields.push_back(v4->str());
    if (const auto v6 = IpAddress::parse(nic.ipv6)) fields.push_back("[" + v6->str() + "]");
    if (mode == DnsMode::Managed) fields.push_back(dns_name(nic.project, nic.instance));
    if (fields.size() < 2) return "";
    return Emitter{}.fields(fields, ',').text();
}

} // namespace lxdcore::network
