// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/log.hpp>

#include "network/dnsmasq.hpp"
#include "network/firewall.hpp"
#include "network/leases.hpp"
#include "util/dir.hpp"
#include "util/reactor.hpp"

namespace lxdcore::network {

/// What all networks of a server share.
struct RuntimeServices {
    const Dir& networks; ///< $LXD_DIR/networks
    Firewall& firewall;
    Reactor& reactor;
    const Logger& log;
    std::function<void()> changed; ///< called when a network needs check(); any thread, must not block
};

/// A managed bridge as it stands on the host: interface, firewall rules, dnsmasq. Knows no database. Thread-safe.
class NetworkRuntime {
public:
    NetworkRuntime(std::string name, const RuntimeServices& services);

    /// Makes everything what @p config says, idempotently. On failure the network is unavailable and retried by
    /// check() with this configuration.
    void up(const BridgeConfig& config);
    void down(); ///< removes rules, dnsmasq and bridge; absent is fine. The directory stays.
    /// Repairs what was lost (rules flushed, dnsmasq ended, bridge deleted, earlier failure). @p rules is what the
    /// firewall has now. Returns when to look again, if before the regular time. Never throws.
    std::optional<std::chrono::milliseconds> check(const std::map<std::string, std::size_t>& rules) noexcept;

    bool available() const;
    BridgeConfig config() const;
    void set_host(const NicRecord& nic);
    void remove_host(const NicRecord& nic);
    std::vector<Lease> leases() const;

private:
    void apply();
    std::string hwaddr() const;
    std::optional<std::chrono::milliseconds> check_dnsmasq();

    const std::string name_;
    const RuntimeServices& services_;
    mutable std::mutex mutex_;
    BridgeConfig config_;
    bool wanted_ = false, available_ = false;
    Dir directory_;
    Dnsmasq dnsmasq_;
    std::chrono::steady_clock::time_point started_{};
    std::chrono::milliseconds delay_{0}; ///< before dnsmasq is started again
};

} // namespace lxdcore::network
