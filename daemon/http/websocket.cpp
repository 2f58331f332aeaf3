// SPDX-License-Identifier: Apache-2.0
#include "http/websocket.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "http/read_ahead.hpp"

namespace lxdcore::daemon {

namespace websocket = boost::beast::websocket;

struct WebSocket::Impl : std::enable_shared_from_this<WebSocket::Impl> {
    Impl(Stream stream, Deadlines& deadlines, const Limits& most)
        : socket{ReadAhead{std::move(stream)}}, limits{most}, silence{deadlines, [this] { silent(); }} {}

    void heard() {
        pinged = 0;
        if (!may_be_silent && !closing) silence.set(limits.ping);
    }
    /// One limit serves both: the first two silences send a ping, the third ends it.
    void silent() {
        if (closing || ++pinged > 2) {
            socket.next_layer().close();
            return;
        }
        silence.set(pinged == 2 ? limits.ping / 2 : limits.ping);
        if (ping_pending) return;
        ping_pending = true;
        socket.async_ping({}, [self = shared_from_this()](error_code) { self->ping_pending = false; });
    }

    websocket::stream<ReadAhead, false> socket;
    Limits limits;
    Deadlines::Entry silence;
    int pinged = 0;
    bool ping_pending = false;
    bool closing = false;
    bool may_be_silent = false;
};

WebSocket::WebSocket(Stream stream, Deadlines& deadlines, const Limits& limits)
    : impl_{std::make_shared<Impl>(std::move(stream), deadlines, limits)} {}

WebSocket::~WebSocket() { impl_->socket.next_layer().close(); }

Executor WebSocket::get_executor() noexcept { return impl_->socket.get_executor(); }

Awaitable<void> WebSocket::accept(const HandshakeRequest& request) {
    auto& impl = *impl_;
    impl.socket.set_option(
        websocket::stream_base::timeout{websocket::stream_base::none(), websocket::stream_base::none(), false});
    impl.socket.auto_fragment(false);
    impl.socket.read_message_max(0);
    impl.socket.control_callback([&impl](websocket::frame_type, boost::beast::string_view) { impl.heard(); });
    impl.silence.set(impl.limits.header);
    impl.closing = true; // a peer that does not take our 101 is closed, not pinged
    co_await impl.socket.async_accept(request, use_awaitable);
    impl.closing = false;
    impl.silence.clear();
}

Awaitable<WebSocket::Kind> WebSocket::read(asio::mutable_buffer into, std::size_t& size) {
    const auto impl = impl_;
    while (true) {
        error_code ec;
        impl->heard();
        size = co_await impl->socket.async_read_some(into, asio::redirect_error(use_awaitable, ec));
        if (!impl->closing) impl->silence.clear();
        if (ec) co_return Kind::Closed;
        if (size > 0) co_return Kind::Data;
        if (impl->socket.is_message_done() && impl->socket.got_text()) co_return Kind::EndOfStream;
    }
}

void WebSocket::allow_silence() {
    impl_->may_be_silent = true;
    impl_->silence.clear();
}

void WebSocket::read_ahead(std::size_t size) { impl_->socket.next_layer().enable(size); }

Awaitable<WebSocket::Kind> WebSocket::read_waiting(asio::mutable_buffer into, std::size_t& size) {
    const auto& ahead = impl_->socket.next_layer();
    auto kind = co_await read(into, size);
    while (kind == Kind::Data && size < into.size() && ahead.waiting() > 0) {
        std::size_t more = 0;
        kind = co_await read(into + size, more);
        if (kind == Kind::Data) size += more;
    }
    co_return kind;
}

Awaitable<WebSocket::Kind> WebSocket::read_message(std::string& into, std::size_t limit) {
    into.clear();
    while (true) {
        constexpr std::size_t kPiece = 1024;
        const auto before = into.size();
        into.resize(before + kPiece);
        std::size_t size = 0;
        const auto kind = co_await read(asio::buffer(into.data() + before, kPiece), size);
        into.resize(before + size);
        if (kind == Kind::EndOfStream && !into.empty()) co_return Kind::Data; // the message's last frame was empty
        if (kind != Kind::Data) co_return kind;
        if (into.size() > limit) co_return Kind::Closed;
        if (impl_->socket.is_message_done()) co_return Kind::Data;
    }
}

Awaitable<bool> WebSocket::write_binary(asio::const_buffer data) {
    const auto impl = impl_;
    error_code ec;
    impl->socket.binary(true);
    co_await impl->socket.async_write(data, asio::redirect_error(use_awaitable, ec));
    co_return !ec;
}

Awaitable<bool> WebSocket::write_text(std::string_view text) {
    const auto impl = impl_;
    error_code ec;
    impl->socket.text(true);
    co_await impl->socket.async_write(asio::buffer(text), asio::redirect_error(use_awaitable, ec));
    co_return !ec;
}

Awaitable<void> WebSocket::close() {
    const auto impl = impl_;
    error_code ec;
    impl->closing = true;
    impl->silence.set(impl->limits.linger);
    co_await impl->socket.async_close(websocket::close_code::normal, asio::redirect_error(use_awaitable, ec));
    impl->socket.next_layer().close();
    impl->silence.clear();
}

void WebSocket::abort() noexcept { impl_->socket.next_layer().close(); }

} // namespace lxdcore::daemon
