// SPDX-License-Identifier: Apache-2.0
#include "server.hpp"

#include "routes/routes.hpp"

namespace lxdcore::daemon {

Server::Server(Services services, Options options, Logger log)
    : app_{.core = std::move(services),
           .state_dir = std::move(options.state_dir),
           .log = std::move(log),
           .stop = std::move(options.stop)},
      http_{.app = app_, .router = router_, .limits = options.limits},
      metrics_http_{.app = app_, .router = metrics_router_, .limits = options.limits}, guests_{app_, options.limits} {
    add_all_routes(router_);
    add_metrics_routes(metrics_router_);
    follow_settings();
    threads_.start();
}

Server::~Server() {
    {
        const std::lock_guard lock{mutex_};
        local_.reset();
        network_.listener.reset();
        metrics_.listener.reset();
        guests_.close();
    }
    constexpr int kTries = 20;
    const auto busy = [this] { return http_.busy > 0 || metrics_http_.busy > 0 || guests_.busy() > 0; };
    for (int i = 0; i < kTries && busy(); ++i)
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
        if (const auto it = changed.find("core.metrics_address"); it != changed.end()) listen_metrics(it->second);
    });
}

void Server::listen_local(const UnixSocketOptions& options) {
    const std::lock_guard lock{mutex_};
    local_ = listen_unix(http_, threads_, options);
}

void Server::listen_guests() {
    const std::lock_guard lock{mutex_};
    guests_.listen(threads_, app_.state_dir / "devlxd");
}

std::unique_ptr<Listener> Server::open_network(HttpServer& http, const std::string& address) {
    if (address.empty()) return nullptr;
    return listen_tls(http, threads_,
                      {.address = address,
                       .certificate = app_.core.server.server_certificate_path(),
                       .key = app_.core.server.server_key_path()});
}

void Server::listen(HttpServer& http, Network& network, const std::string& address) {
    const std::lock_guard lock{mutex_};
    if (address == network.address) return;
    network.listener.reset();
    try {
        network.listener = open_network(http, address);
    } catch (const Error&) {
        network.listener = open_network(http, network.address);
        throw;
    }
    network.address = address;
    if (!address.empty()) app_.log.info("Listening on the network", {{"socket", address}});
}

void Server::listen_network(const std::string& address) { listen(http_, network_, address); }

void Server::listen_metrics(const std::string& address) { listen(metrics_http_, metrics_, address); }

} // namespace lxdcore::daemon
