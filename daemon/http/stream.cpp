// SPDX-License-Identifier: Apache-2.0
#include "http/stream.hpp"

#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>

namespace lxdcore::daemon {

struct Stream::Tls {
    Tls(Socket socket, asio::ssl::context& context) : stream{std::move(socket), context} {}
    asio::ssl::stream<Socket> stream;
};

Stream::Stream(Socket socket) : plain_{std::make_unique<Socket>(std::move(socket))} {}
Stream::Stream(Socket socket, asio::ssl::context& tls) : tls_{std::make_unique<Tls>(std::move(socket), tls)} {}
Stream::Stream(Stream&&) noexcept = default;
Stream::~Stream() = default;

Socket& Stream::socket() noexcept { return tls_ ? tls_->stream.next_layer() : *plain_; }
Stream::executor_type Stream::get_executor() noexcept { return socket().get_executor(); }
void* Stream::native_tls() noexcept { return tls_ ? tls_->stream.native_handle() : nullptr; }

Awaitable<void> Stream::handshake() {
    if (tls_) co_await tls_->stream.async_handshake(asio::ssl::stream_base::server, use_awaitable);
}

std::size_t Stream::write_now(asio::const_buffer first, asio::const_buffer second) noexcept {
    if (!plain_) return 0;
    iovec pieces[] = {{const_cast<void*>(first.data()), first.size()},
                      {const_cast<void*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = std::size(pieces);
    const auto size = ::sendmsg(plain_->native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
}

Awaitable<void> Stream::shutdown() {
    error_code ec;
    if (tls_) co_await tls_->stream.async_shutdown(asio::redirect_error(use_awaitable, ec));
    socket().shutdown(Socket::shutdown_send, ec);
}

void Stream::close() noexcept {
    error_code ec;
    if (plain_ || tls_) socket().close(ec);
}

void Stream::read_some(asio::mutable_buffer buffer, IoHandler handler) {
    if (tls_)
        tls_->stream.async_read_some(buffer, std::move(handler));
    else
        plain_->async_read_some(buffer, std::move(handler));
}

void Stream::write_some(const Gather& buffers, IoHandler handler) {
    if (tls_)
        tls_->stream.async_write_some(buffers, std::move(handler));
    else
        plain_->async_write_some(buffers, std::move(handler));
}

} // namespace lxdcore::daemon
