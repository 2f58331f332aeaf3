// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "network/dnsmasq_config.hpp"
#include "util/dir.hpp"
#include "util/process.hpp"
#include "util/reactor.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::network {

/// "lxd", "dnsmasq" or "nobody", whichever exists first; never in a group that may use our socket.
DnsmasqUser dnsmasq_user();

/// The dnsmasq of one bridge. It outlives the daemon: a later one finds it again by its pid file and recognises it by
/// its program and its exact arguments. Not thread-safe: the owner holds the network's lock.
class Dnsmasq {
public:
    /// @p directory is networks/<name>; @p ended is called on the reactor's thread when the process ends.
    Dnsmasq(std::string name, Dir directory, Reactor& reactor, std::function<void()> ended);
    ~Dnsmasq(); ///< leaves the process running

    /// Runs dnsmasq with this configuration: keeps a running one that already has it, else replaces it. Returns when
    /// it answers. @throws Error Internal with LXD's text and dnsmasq's own reason
    void ensure(const BridgeConfig& config);
    void stop(); ///< ends it and removes its pid file; absent is fine
    bool running() const;
    void reload() const; ///< re-read the host entries
    pid_t pid() const noexcept { return pid_; }

private:
    void adopt(const std::vector<std::string>& argv);
    void start(const std::vector<std::string>& argv);
    void watch();
    void forget();
    bool wait_ready(Process& process, int stderr_fd);

    std::string name_;
    Dir directory_;
    Reactor& reactor_;
    std::function<void()> ended_;
    pid_t pid_ = -1;
    UniqueFd pidfd_;
    Process child_; ///< set when it was started by us, so that it is reaped
    Reactor::Token token_ = 0;
    std::vector<std::string> argv_; ///< of the running one
};

} // namespace lxdcore::network
