// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "client/asio.hpp"

namespace lxdcore::client {

/// Closes a socket when a time is over, unless it is destroyed before. Thread-bound to the I/O thread.
class Limit {
public:
    /// @p after 0: never
    Limit(Executor executor, std::chrono::milliseconds after, Socket& socket) : timer_{executor} {
        if (after.count() == 0) return;
        timer_.expires_after(after);
        timer_.async_wait([&socket](error_code ec) {
            error_code ignored;
            if (!ec) socket.close(ignored);
        });
        set_ = true;
    }
    bool over() const { return set_ && timer_.expiry() <= std::chrono::steady_clock::now(); }

private:
    Timer timer_;
    bool set_ = false;
};

} // namespace lxdcore::client
