// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/http.hpp"

namespace lxdcore::client {

/// A websocket of the server. One reader and one writer at a time; the others wait. What returns an Awaitable belongs
/// on the I/O thread, the rest on any other.
class WebSocket {
public:
    enum class Kind { Closed, Data, EndOfStream }; ///< EndOfStream: an empty TEXT frame

    explicit WebSocket(std::shared_ptr<Http> http);
    ~WebSocket();
    WebSocket(const WebSocket&) = delete;
    WebSocket& operator=(const WebSocket&) = delete;

    /// @throws Error with the server's text if it refuses
    Awaitable<void> open(std::string target);
    Awaitable<Kind> read_message(std::string& into);        ///< the next message, or a part of one that is not text
    Awaitable<bool> send(std::string_view data, bool text); ///< false once the peer has gone; empty text: end of stream
    Awaitable<void> shut();
    void abort() noexcept; ///< from any thread; what waits ends

    void connect(const std::string& target) { http_->thread().run(open(target)); }
    Kind read(std::string& into) { return http_->thread().run(read_message(into)); }
    bool write(std::string_view data, bool text = false) { return http_->thread().run(send(data, text)); }
    void close() { http_->thread().run(shut()); }

private:
    struct Impl;
    std::shared_ptr<Http> http_;
    std::shared_ptr<Impl> impl_;
};

} // namespace lxdcore::client
