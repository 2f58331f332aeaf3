// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <lxdcore/client.hpp>

#include "client/stream.hpp"

namespace lxdcore::client {

/// Makes connections to one server. Thread-bound to the I/O thread, except for the constructor.
class Dialer {
public:
    /// @throws Error InvalidArgument, NotFound
    explicit Dialer(const ClientOptions& options);
    /// @throws Error Unavailable, Forbidden when the server shows another certificate than it must
    Awaitable<Stream> connect(Executor executor) const;
    bool is_unix() const noexcept { return !socket_path_.empty(); }
    const std::string& host() const noexcept { return host_; } ///< for the Host header

private:
    Awaitable<Stream> connect_unix(Executor executor) const;
    Awaitable<Stream> connect_tls(Executor executor) const;
    void check_server(Stream& stream) const;

    std::string socket_path_;
    std::string host_, port_;
    std::string pinned_; ///< fingerprint
    std::chrono::milliseconds timeout_;
    std::shared_ptr<asio::ssl::context> tls_;
};

} // namespace lxdcore::client
