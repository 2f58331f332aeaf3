// SPDX-License-Identifier: Apache-2.0
#include "server.hpp"

#include "routes/routes.hpp"

namespace lxdcore::daemon {

Server::Server(Services services, Options options, Logger log)
    : app_{.core = std::move(services),
           .state_dir = std::move(options.state_dir),
           .log = std::move(log),
           .stop = std::move(options.stop)},
      http_{.app = app_, .router = router_, .limits = options.limits} {
    add_all_routes(router_);
    follow_settings();
    threads_.start();
}

Server::~Server() {
    {
        const std::lock_guard lock{mutex_};
        local_.reset();
        network_.reset();
    }
    constexpr int kTries = 20;
    for (int i = 0; i < kTries && http_.busy > 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    threads_.stop();
    // no worker may touch a coroutine when the I/O threads' queues, which own them, go
    app_.workers.join();
    app_.password_workers.join();
}

void Server::follow_settings() {
    app_.core.server.on_change([this](const api::StringMap& changed) {
        app_.info.invalidate();
        if (const auto it = changed.find("core.https_address"); it != changed.end()) listen_network(it->second);
    });
}

void Server::listen_local(const UnixSocketOptions& options) {
    const std::lock_guard lock{mutex_};
    local_ = listen_unix(http_, threads_, options);
}

std::unique_ptr<Listener> Server::open_network(const std::string& address) {
    if (address.empty()) return nullptr;
    return listen_tls(http_, threads_,
                      {.address = address,
                       .certificate = app_.core.server.server_certificate_path(),
                       .key = app_.core.server.server_key_path()});
}

void Server::listen_network(const std::string& address) {
    const std::lock_guard lock{mutex_};
    if (address == address_) return;
    network_.reset();
    try {
        network_ = open_network(address);
    } catch (const Error&) {
        network_ = open_network(address_);
        throw;
    }
    address_ = address;
    if (!address.empty()) app_.log.info("Listening on the network", {{"socket", address}});
}

} // namespace lxdcore::daemon
