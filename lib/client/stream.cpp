// SPDX-License-Identifier: Apache-2.0
#include "client/stream.hpp"

#include <sys/socket.h>

#include <boost/asio/ssl/stream.hpp>

namespace lxdcore::client {

struct Stream::Tls {
    Tls(Socket socket, std::shared_ptr<asio::ssl::context> held)
        : context{std::move(held)}, stream{std::move(socket), *context} {}
    std::shared_ptr<asio::ssl::context> context;
    asio::ssl::stream<Socket> stream;
};

Stream::Stream(Socket socket) : plain_{std::make_unique<Socket>(std::move(socket))} {}
Stream::Stream(Socket socket, std::shared_ptr<asio::ssl::context> tls)
    : tls_{std::make_unique<Tls>(std::move(socket), std::move(tls))} {}
Stream::Stream(Stream&&) noexcept = default;
Stream::~Stream() = default;

Socket& Stream::socket() noexcept { return tls_ ? tls_->stream.next_layer() : *plain_; }
Stream::executor_type Stream::get_executor() noexcept { return socket().get_executor(); }
void* Stream::native_tls() noexcept { return tls_ ? tls_->stream.native_handle() : nullptr; }

Awaitable<void> Stream::handshake() {
    if (tls_) co_await tls_->stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
}

void Stream::close() noexcept {
    error_code ec;
    if (plain_ || tls_) socket().close(ec);
}

bool Stream::idle() noexcept {
    char byte = 0;
    const auto got = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Stream::read_some(asio::mutable_buffer buffer, AnyHandler handler) {
    if (tls_)
        tls_->stream.async_read_some(buffer, std::move(handler));
    else
        plain_->async_read_some(buffer, std::move(handler));
}

void Stream::write_some(asio::const_buffer buffer, AnyHandler handler) {
    if (tls_)
        tls_->stream.async_write_some(buffer, std::move(handler));
    else
        plain_->async_write_some(buffer, std::move(handler));
}

void teardown(boost::beast::role_type, Stream& stream, error_code& ec) {
    stream.socket().shutdown(Socket::shutdown_both, ec);
    stream.close();
}

void beast_close_socket(Stream& stream) { stream.close(); }

} // namespace lxdcore::client
