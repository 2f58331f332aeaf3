// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "app.hpp"
#include "devlxd/guest_server.hpp"
#include "http/listener.hpp"

namespace lxdcore::daemon {

/// The running HTTP side: routes, I/O threads, listeners. Thread-safe.
class Server {
public:
    struct Options {
        std::filesystem::path state_dir;
        Limits limits;
        std::function<void()> stop; ///< called when a client asks the daemon to end; must return at once
    };
    Server(Services services, Options options, Logger log);
    ~Server(); ///< lets answers under way finish for a moment, then closes every connection
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    App& app() noexcept { return app_; }
    const Router& router() const noexcept { return router_; }
    void listen_local(const UnixSocketOptions& options);
    void listen_guests(); ///< the guest API, at devlxd/sock below the state directory. @throws Error
    /// "": no listener. The old listener goes first. @throws Error; then the old address is tried again
    void listen_network(const std::string& address);
    /// The same for an address that has the metrics and nothing else.
    void listen_metrics(const std::string& address);

private:
    void follow_settings();
    struct Network {
        std::unique_ptr<Listener> listener;
        std::string address;
    };
    std::unique_ptr<Listener> open_network(HttpServer& http, const std::string& address);
    void listen(HttpServer& http, Network& network, const std::string& address);
    App app_;
    Router router_, metrics_router_;
    HttpServer http_, metrics_http_;
    GuestServer guests_;
    IoThreads threads_{2};
    std::mutex mutex_; ///< guards the listeners
    std::unique_ptr<Listener> local_;
    Network network_, metrics_;
};

} // namespace lxdcore::daemon
