// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "db/database.hpp"
#include "network/network_manager.hpp"
#include "support/temp_dir.hpp"
#include "util/process.hpp"
#include "util/reactor.hpp"

namespace lxdcore::test {

/// Moves the calling thread into a network of its own, once: bridges, rules and addresses of the tests are seen by
/// nobody else and end with the program.
void enter_private_network();

/// Output of a tool; its text is never checked by machine elsewhere than in tests.
std::string output(const std::vector<std::string>& argv);
std::string ruleset(); ///< of nft, in full
/// Waits for a condition that another process brings about.
bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit = std::chrono::seconds{10});

/// A state directory with its databases; managers on it come and go as daemons do.
class NetworkHost {
public:
    NetworkHost();
    ~NetworkHost(); ///< removes all networks

    network::NetworkManager& manager() { return *manager_; }
    void restart(); ///< as after a clean exit
    void crash();   ///< the daemon is gone without a word; nothing was stopped
    void add(const std::string& name, const api::StringMap& config);
    pid_t dnsmasq(const std::string& network) const;
    std::filesystem::path path(const std::string& below) const { return dir_ / below; }
    db::Database& global() { return *global_; }
    db::Database& local() { return *local_; }

private:
    void open();

    TempDir dir_;
    std::unique_ptr<db::Database> local_, global_;
    std::unique_ptr<EventService> events_;
    Logger log_;
    std::unique_ptr<Reactor> reactor_;
    std::unique_ptr<network::NetworkManager> manager_;
};

/// A guest: a process in a network namespace with eth0 on a bridge.
class Guest {
public:
    Guest(const std::string& bridge, const std::string& mac);
    ~Guest();
    pid_t pid() const { return process_.pid(); }
    std::string run(const std::vector<std::string>& argv) const;
    /// Asks for a lease and configures eth0 with it. @p hostname: what the guest claims to be called.
    std::string lease(const std::string& hostname = "");
    std::string lookup(const std::string& name, const std::string& server) const;

private:
    TempDir dir_;
    Process process_;
    std::string host_name_;
};

} // namespace lxdcore::test
