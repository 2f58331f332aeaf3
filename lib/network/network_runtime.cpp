// SPDX-License-Identifier: Apache-2.0
#include "network/network_runtime.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "network/bridge.hpp"
#include "network/mac.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::network {
namespace {

constexpr auto kFirstDelay = std::chrono::milliseconds{100};
constexpr auto kLongestDelay = std::chrono::milliseconds{30'000};
constexpr auto kStable = std::chrono::seconds{10};

/// Replaces the file at once, without waiting for the disk: each start of the instance writes what is missing. The
/// leading dot keeps dnsmasq from reading a half-written file.
void write_host(const Dir& hosts, const std::string& file, const std::string& line) {
    const std::string beside = "." + file;
    {
        const UniqueFd out = hosts.open_file(beside, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (::fchmod(out.get(), 0644) != 0 ||
            ::write(out.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw_errno("write host entry " + file);
    }
    hosts.replace(beside, file);
}

} // namespace

NetworkRuntime::NetworkRuntime(std::string name, const RuntimeServices& services)
    : name_{std::move(name)}, services_{services}, directory_{services.networks.make_dir(name_, 0711)},
      dnsmasq_{name_, directory_.clone(), services.reactor, services.changed} {}

std::string NetworkRuntime::hwaddr() const {
    if (const auto kept = directory_.read_if_exists("hwaddr", 64)) {
        if (const std::string mac = text::trim(*kept); is_mac(mac)) return mac;
    }
    const std::string made = random_mac();
    directory_.write("hwaddr", made + "\n");
    return made;
}

void NetworkRuntime::apply() {
    bridge::bring_up(name_, config_, hwaddr());
    services_.firewall.apply(name_, config_);
    if (config_.needs_dnsmasq())
        dnsmasq_.ensure(config_);
    else
        dnsmasq_.stop();
    started_ = std::chrono::steady_clock::now();
    delay_ = kFirstDelay;
}

void NetworkRuntime::up(const BridgeConfig& config) {
    const std::lock_guard lock{mutex_};
    config_ = config;
    wanted_ = true;
    available_ = false;
    apply();
    available_ = true;
}

void NetworkRuntime::down() {
    const std::lock_guard lock{mutex_};
    wanted_ = available_ = false;
    dnsmasq_.stop();
    services_.firewall.remove(name_);
    bridge::tear_down(name_);
}

std::optional<std::chrono::milliseconds> NetworkRuntime::check_dnsmasq() {
    if (!config_.needs_dnsmasq() || dnsmasq_.running()) return std::nullopt;
    const auto now = std::chrono::steady_clock::now();
    if (now - started_ > kStable) delay_ = kFirstDelay;
    const auto due = started_ + delay_;
    if (now < due)
        return std::chrono::duration_cast<std::chrono::milliseconds>(due - now) + std::chrono::milliseconds{1};
    services_.log.warning("dnsmasq ended, starting it again", {{"network", name_}});
    started_ = now;
    delay_ = std::min(delay_ * 2, kLongestDelay);
    dnsmasq_.ensure(config_);
    return std::nullopt;
}

std::optional<std::chrono::milliseconds>
NetworkRuntime::check(const std::map<std::string, std::size_t>& rules) noexcept {
    const std::lock_guard lock{mutex_};
    if (!wanted_) return std::nullopt;
    try {
        if (!available_ || !bridge::is_up(name_)) {
            apply();
            available_ = true;
            services_.log.info("Network is available again", {{"network", name_}});
            return std::nullopt;
        }
        for (const auto& [chain, count] : rules::expected(name_, config_)) {
            const auto it = rules.find(chain);
            if (it != rules.end() && it->second == count) continue;
            services_.log.warning("Firewall rules were changed by others, restoring them", {{"network", name_}});
            services_.firewall.apply(name_, config_);
            break;
        }
        return check_dnsmasq();
    } catch (const std::exception& e) {
        services_.log.error("Failed repairing network", {{"network", name_}, {"err", e.what()}});
        return delay_ > kFirstDelay ? std::optional{delay_} : std::nullopt;
    }
}

bool NetworkRuntime::available() const {
    const std::lock_guard lock{mutex_};
    return available_;
}

BridgeConfig NetworkRuntime::config() const {
    const std::lock_guard lock{mutex_};
    return config_;
}

void NetworkRuntime::set_host(const NicRecord& nic) {
    if (!is_mac(nic.mac))
        throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid MAC address {}", text::quote(nic.mac))};
    const std::lock_guard lock{mutex_};
    const std::string file = host_file(nic);
    const std::string line = host_line(nic, config_.dns);
    const Dir hosts = directory_.make_dir("dnsmasq.hosts", 0755);
    if (hosts.read_if_exists(file, 4096).value_or("") == line) return;
    if (line.empty())
        hosts.remove(file);
    else
        write_host(hosts, file, line);
    dnsmasq_.reload();
}

void NetworkRuntime::remove_host(const NicRecord& nic) {
    const std::lock_guard lock{mutex_};
    const Dir hosts = directory_.make_dir("dnsmasq.hosts", 0755);
    const std::string file = host_file(nic);
    if (!hosts.exists(file)) return;
    hosts.remove(file);
    dnsmasq_.reload();
}

std::vector<Lease> NetworkRuntime::leases() const {
    constexpr std::size_t kMost = 16 << 20;
    return parse_leases(directory_.read_if_exists("dnsmasq.leases", kMost).value_or(""));
}

} // namespace lxdcore::network
