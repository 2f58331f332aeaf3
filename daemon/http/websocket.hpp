// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include "http/io_threads.hpp"
#include "http/limits.hpp"
#include "http/stream.hpp"

namespace lxdcore::daemon {

/// A websocket after its handshake. One reader and one writer at a time may wait. Pings a silent peer and gives it up
/// in the end, but only while somebody reads: a reader that holds back on purpose is no sign of a dead peer.
/// Thread-bound to its I/O thread.
class WebSocket {
public:
    using HandshakeRequest = boost::beast::http::request<boost::beast::http::empty_body>;
    enum class Kind { Closed, Data, EndOfStream }; ///< EndOfStream: an empty TEXT frame

    WebSocket(Stream stream, Deadlines& deadlines, const Limits& limits);
    ~WebSocket();

    Awaitable<void> accept(const HandshakeRequest& request);
    /// The next piece of data, whatever its frame; @p size is set for Data.
    Awaitable<Kind> read(asio::mutable_buffer into, std::size_t& size);
    /// No more pings, and silence is no end: some clients read only where they expect something, and one that reads
    /// late would lose what is behind a ping that it cannot answer any more. Whether the peer is there, the kernel
    /// finds out.
    void allow_silence();
    /// Takes up to @p size bytes from the socket at once from now on: for large inputs.
    void read_ahead(std::size_t size);
    /// As read(), with the frames that are here already. The bytes in @p size come before what is returned, even if
    /// that is Closed or EndOfStream.
    Awaitable<Kind> read_waiting(asio::mutable_buffer into, std::size_t& size);
    /// A whole message of at most @p limit bytes; Closed also for a longer one.
    Awaitable<Kind> read_message(std::string& into, std::size_t limit);
    /// False once the peer has gone.
    Awaitable<bool> write_binary(asio::const_buffer data);
    Awaitable<bool> write_text(std::string_view text); ///< empty: LXD's end of stream
    /// Says goodbye and waits a little for the answer.
    Awaitable<void> close();
    void abort() noexcept; ///< at once; what waits ends
    Executor get_executor() noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_; ///< a ping under way may outlive us
};

} // namespace lxdcore::daemon
