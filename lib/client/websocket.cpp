// SPDX-License-Identifier: Apache-2.0
#include "client/websocket.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace lxdcore::client {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

namespace {
constexpr std::size_t kMostMessage = 64U << 20;
constexpr std::size_t kPiece = 64 * 1024;
} // namespace

struct WebSocket::Impl {
    explicit Impl(Stream stream) : socket{std::move(stream)} {}
    websocket::stream<Stream, false> socket;
    std::string piece = std::string(kPiece, '\0');
    bool over = false;
};

WebSocket::WebSocket(std::shared_ptr<Http> http) : http_{std::move(http)} {}

WebSocket::~WebSocket() {
    if (impl_ && http_->thread().ours())
        asio::post(http_->thread().io(), [impl = std::move(impl_)] { impl->socket.next_layer().close(); });
}

Awaitable<void> WebSocket::open(std::string target) {
    auto impl = std::make_shared<Impl>(co_await http_->connect());
    auto& socket = impl->socket;
    socket.set_option(websocket::stream_base::timeout{std::chrono::seconds{30}, websocket::stream_base::none(), false});
    socket.auto_fragment(false);
    socket.read_message_max(0);
    websocket::response_type response;
    error_code ec;
    co_await socket.async_handshake(response, http_->host(), target, asio::redirect_error(use_awaitable, ec));
    if (ec) {
        throw_if_error(response.result_int(), response.body());
        throw Error{ErrorCode::Unavailable, "websocket: " + ec.message()};
    }
    impl_ = std::move(impl);
}

Awaitable<WebSocket::Kind> WebSocket::read_message(std::string& into) {
    const auto impl = impl_;
    auto& socket = impl->socket;
    into.clear();
    while (!impl->over) {
        error_code ec;
        const auto size =
            co_await socket.async_read_some(asio::buffer(impl->piece), asio::redirect_error(use_awaitable, ec));
        if (ec || into.size() + size > kMostMessage) break;
        into.append(impl->piece, 0, size);
        const bool done = socket.is_message_done();
        if (done && into.empty() && socket.got_text()) co_return Kind::EndOfStream;
        if (!into.empty() && (done || !socket.got_text())) co_return Kind::Data;
    }
    impl->over = true;
    co_return Kind::Closed;
}

Awaitable<bool> WebSocket::send(std::string_view data, bool text) {
    const auto impl = impl_;
    error_code ec;
    if (impl->over) co_return false;
    impl->socket.binary(!text);
    co_await impl->socket.async_write(asio::buffer(data), asio::redirect_error(use_awaitable, ec));
    co_return !ec;
}

Awaitable<void> WebSocket::shut() {
    const auto impl = impl_;
    error_code ec;
    if (!impl->over && impl->socket.is_open())
        co_await impl->socket.async_close(websocket::close_code::normal, asio::redirect_error(use_awaitable, ec));
    impl->over = true;
    impl->socket.next_layer().close();
}

void WebSocket::abort() noexcept {
    if (impl_) asio::post(http_->thread().io(), [impl = impl_] { impl->socket.next_layer().close(); });
}

} // namespace lxdcore::client
