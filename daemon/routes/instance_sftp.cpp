// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include "http/exchange.hpp"
#include "http/stream.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kPiece = 256 * 1024;

/// A client's connection and a session of SFTP, while bytes move between them. On the connection's I/O thread.
struct Tunnel {
    using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
    Tunnel(std::unique_ptr<Stream> of, Executor on, int fd) : client{std::move(of)}, session{on, fd} {}

    std::unique_ptr<Stream> client;
    Descriptor session;
};
using TunnelPtr = std::shared_ptr<Tunnel>;

/// A silent client may only be idle, so the kernel asks whether its host still lives (R56). Of no effect on a unix
/// socket.
void notice_dead_peer(int fd) {
    const auto set = [&](int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof value); };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

/// Client → session. Its end is told on: the session answers what it has got, then it ends too.
Awaitable<void> receive(TunnelPtr tunnel, std::string early) {
    error_code ec;
    if (!early.empty())
        co_await asio::async_write(tunnel->session, asio::buffer(early), asio::redirect_error(use_awaitable, ec));
    const auto piece = std::make_unique<char[]>(kPiece);
    while (!ec) {
        const auto size = co_await tunnel->client->async_read_some(asio::buffer(piece.get(), kPiece),
                                                                   asio::redirect_error(use_awaitable, ec));
        if (size > 0)
            co_await asio::async_write(tunnel->session, asio::buffer(piece.get(), size),
                                       asio::redirect_error(use_awaitable, ec));
    }
    if (tunnel->session.is_open()) ::shutdown(tunnel->session.native_handle(), SHUT_WR);
}

/// Session → client.
Awaitable<void> send(TunnelPtr tunnel) {
    error_code ec;
    const auto piece = std::make_unique<char[]>(kPiece);
    while (!ec) {
        const auto size = co_await tunnel->session.async_read_some(asio::buffer(piece.get(), kPiece),
                                                                   asio::redirect_error(use_awaitable, ec));
        if (size > 0)
            co_await asio::async_write(*tunnel->client, asio::buffer(piece.get(), size),
                                       asio::redirect_error(use_awaitable, ec));
    }
}

Awaitable<void> run(TunnelPtr tunnel, std::string early) {
    notice_dead_peer(tunnel->client->socket().native_handle());
    asio::co_spawn(tunnel->client->get_executor(), receive(tunnel, std::move(early)), asio::detached);
    co_await send(tunnel);
    co_await tunnel->client->shutdown();
    tunnel->client->close();
    error_code ec;
    tunnel->session.close(ec);
}

Awaitable<Response> sftp(Exchange& exchange) {
    if (exchange.request.header("Upgrade") != "sftp") throw HttpError{400, "Missing or invalid upgrade header"};
    App& app = exchange.app;
    std::shared_ptr<const int> session;
    auto open = [&] {
        const auto ref = instance_ref(exchange.request, app);
        app.core.instances.get(ref);
        try {
            session = app.core.instances.sftp(ref);
        } catch (Error& error) {
            error.add_context("Failed getting instance SFTP connection");
            throw;
        }
        return ::fcntl(*session, F_DUPFD_CLOEXEC, 3);
    };
    const int fd = co_await exchange.blocking(open);
    if (fd < 0) throw_errno("dup");
    const Executor executor = co_await asio::this_coro::executor;
    const auto tunnel = std::make_shared<Tunnel>(nullptr, executor, fd);
    std::string early;
    tunnel->client = co_await exchange.switch_to("sftp", early);
    co_await run(tunnel, std::move(early));
    auto release = [&] { session.reset(); };
    co_await exchange.blocking(release);
    Response done;
    done.upgraded = true;
    co_return done;
}

} // namespace

void add_instance_sftp_routes(Router& router) {
    add_instance_route(router, Method::Get, "/{name}/sftp", Permission::Project, sftp);
}

} // namespace lxdcore::daemon
