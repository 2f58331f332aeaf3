// SPDX-License-Identifier: Apache-2.0
#include "devlxd/guest_server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "http/acceptor.hpp"
#include "http/error_mapping.hpp"
#include "http/exchange.hpp"
#include "http/unix_socket.hpp"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 // Linux 6.5
#endif

namespace lxdcore::daemon {

namespace {

/// One guest cannot take the connections of the others.
constexpr std::size_t kConnections = 4096, kConnectionsOfGuest = 64;

Response plain_error(unsigned status, const std::string& text) {
    return Response::plain(status, text + "\n").set("X-Content-Type-Options", "nosniff");
}

Response failure_response(std::exception_ptr failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const HttpError& error) {
        return plain_error(error.status(), error.what());
    } catch (const Error& error) {
        return plain_error(http_status(error.code()), error.what());
    } catch (const std::exception& error) {
        return plain_error(500, error.what());
    }
}

/// Everything is a reading, whatever the method.
Awaitable<Response> answer(HttpServer& server, Exchange& exchange) {
    Request& request = exchange.request;
    request.method = Method::Get;
    const auto match = server.router.match(request);
    if (match.route == nullptr) co_return plain_error(404, "404 page not found");
    if (!request.peer.guest) co_return plain_error(500, "pid not in container?");
    if (!Authorizer::allows(request, match.route->permission))
        co_return plain_error(401, "Access denied for non-root user");
    auto check = [&] { server.app.core.guests.check(*request.peer.guest); };
    try {
        co_await exchange.blocking(check);
    } catch (const Error&) {
        auto response = failure_response(std::current_exception());
        response.close = true;
        co_return response;
    }
    if (match.route->stream != nullptr) co_return co_await match.route->stream(exchange);
    auto work = [&] { return match.route->handler(request, server.app); };
    co_return co_await exchange.blocking(work);
}

std::optional<GuestApi::Caller> who(const GuestApi& guests, int socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
    int pidfd = -1;
    size = sizeof pidfd;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) != 0)
        pidfd = static_cast<int>(::syscall(SYS_pidfd_open, credentials.pid, 0));
    if (pidfd < 0) return std::nullopt;
    const auto closer = std::shared_ptr<void>{nullptr, [pidfd](void*) { ::close(pidfd); }};
    return guests.find({.pid = credentials.pid, .uid = credentials.uid, .pidfd = pidfd});
}

/// What a connection holds while it lasts. It ends soon after its guest does, or may no longer ask; event streams have
/// said good-bye by then.
class Line : public std::enable_shared_from_this<Line> {
public:
    Line(IoThread& thread, int socket, std::shared_ptr<void> slot)
        : slot_{std::move(slot)}, socket_{::fcntl(socket, F_DUPFD_CLOEXEC, 3)}, executor_{thread.io().get_executor()},
          end_{thread.deadlines(), [this] { ::shutdown(socket_, SHUT_RDWR); }} {}
    ~Line() { ::close(socket_); }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    void watch(GuestApi& guests, const GuestApi::Caller& caller) {
        // Not locked in there: the last owner must not be whoever publishes.
        const auto ended = [weak = weak_from_this(), executor = executor_](const Event&) {
            asio::post(executor, [weak] {
                if (const auto self = weak.lock()) self->end_.set(std::chrono::seconds{1});
            });
        };
        try {
            subscription_ = guests.subscribe(caller, {}, ended);
        } catch (const Error&) { // it is told so when it asks
        }
    }

private:
    std::shared_ptr<void> slot_;
    const int socket_; ///< of its own: the other may be closed by then
    Executor executor_;
    Deadlines::Entry end_;
    std::unique_ptr<EventSubscription> subscription_;
};

Awaitable<void> serve_guest(HttpServer& server, IoThread& thread, Socket socket, Peer peer,
                            std::shared_ptr<void> slot) {
    const auto line = std::make_shared<Line>(thread, socket.native_handle(), std::move(slot));
    if (peer.guest) {
        auto watch = [&] { line->watch(server.app.core.guests, *peer.guest); };
        co_await server.app.workers.run(watch);
    }
    co_await serve(server, thread, Stream{std::move(socket)}, std::move(peer), line);
}

class GuestListener final : public Listener {
public:
    GuestListener(HttpServer& server, IoThreads& threads, std::filesystem::path path)
        : path_{std::move(path)}, loop_{accept_loop(threads, bind_unix_socket(path_, 0666, 0), AF_UNIX,
                                                    [slots = slots_, &server](IoThread& thread, Socket socket) mutable {
                                                        accepted(server, slots, thread, std::move(socket));
                                                    })} {}
    ~GuestListener() override { remove_unix_socket(path_); }

private:
    static void accepted(HttpServer& server, ConnectionSlots& slots, IoThread& thread, Socket socket) {
        Peer peer;
        peer.address = "@devlxd";
        try {
            peer.guest = who(server.app.core.guests, socket.native_handle());
        } catch (const Error& error) {
            server.app.log.warning("Unknown guest", {{"err", error.what()}});
        }
        auto slot = slots.take(peer.guest ? peer.guest->instance.project + "/" + peer.guest->instance.name : "");
        if (!slot) return;
        asio::co_spawn(thread.io().get_executor(),
                       serve_guest(server, thread, std::move(socket), std::move(peer), std::move(slot)),
                       asio::detached);
    }

    ConnectionSlots slots_{kConnections, kConnectionsOfGuest};
    std::filesystem::path path_;
    std::shared_ptr<void> loop_;
};

} // namespace

GuestServer::GuestServer(App& app, const Limits& limits)
    : http_{.app = app, .router = router_, .limits = limits, .busy = 0, .answer = answer, .failed = failure_response} {
    add_guest_routes(router_);
}

GuestServer::~GuestServer() = default;

void GuestServer::listen(IoThreads& threads, const std::filesystem::path& folder) {
    listener_ = std::make_unique<GuestListener>(http_, threads, folder / "sock");
}

void GuestServer::close() { listener_.reset(); }

} // namespace lxdcore::daemon
