// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "http/listener.hpp"

namespace lxdcore::daemon {

/// The guest API: the socket that containers find at /dev/lxd/sock. Not thread-safe itself.
class GuestServer {
public:
    GuestServer(App& app, const Limits& limits);
    ~GuestServer();
    /// Listens at "sock" in @p folder, which is mounted into the guests; they find the new socket after a restart.
    void listen(IoThreads& threads, const std::filesystem::path& folder);
    void close(); ///< no new connections
    int busy() const noexcept { return http_.busy; }

private:
    Router router_;
    HttpServer http_;
    std::unique_ptr<Listener> listener_;
};

void add_guest_routes(Router& router);

} // namespace lxdcore::daemon
