// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <lxdcore/api/codec.hpp>

#include "http/exchange.hpp"
#include "http/remote.hpp"
#include "http/websocket.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kPiece = 128 * 1024;
constexpr std::size_t kMaxControlMessage = 64 * 1024;

/// One websocket and one end of a command, while bytes move between them. On the connection's I/O thread.
struct Pump {
    using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
    Pump(Executor on, App& of, Caller who) : app{of}, caller{std::move(who)}, in{on}, out{on}, idle{on} {
        idle.expires_at(Timer::time_point::max());
    }
    ~Pump() {
        for (const int fd : {in_fd, out_fd})
            if (fd >= 0) ::close(fd);
    }
    Pump(const Pump&) = delete;
    Pump& operator=(const Pump&) = delete;

    void take(Channel ends) {
        channel = std::move(ends);
        if (channel.fd >= 0 && channel.readable) in_fd = ::fcntl(channel.fd, F_DUPFD_CLOEXEC, 3);
        if (channel.fd >= 0 && channel.writable) out_fd = ::fcntl(channel.fd, F_DUPFD_CLOEXEC, 3);
    }
    void open() {
        if (in_fd >= 0) in.assign(std::exchange(in_fd, -1));
        if (out_fd >= 0) out.assign(std::exchange(out_fd, -1));
    }

    Channel channel;
    App& app;
    Caller caller;
    std::unique_ptr<WebSocket> socket;
    Descriptor in;               ///< what we read from the command
    Descriptor out;              ///< what we write to it
    int in_fd = -1, out_fd = -1; ///< copies of the channel's, until open()
    Timer idle;                  ///< cancelled when a side has ended
    bool reader_done = false, writer_done = false;
    bool closing = false;

    template <class Call>
    Awaitable<void> blocking(Call& call) {
        auto scoped = [&] {
            const CallerScope scope{caller};
            call();
        };
        co_await app.workers.run(scoped);
    }
    void stop() {
        closing = true;
        error_code ec;
        in.close(ec);
        out.close(ec);
        idle.cancel();
    }
};
using PumpPtr = std::shared_ptr<Pump>;

/// Command → client; an empty TEXT frame tells the end.
Awaitable<void> send_output(PumpPtr pump) {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kPiece);
    while (!pump->closing) {
        error_code ec;
        const auto size = co_await pump->in.async_read_some(asio::buffer(buffer.get(), kPiece),
                                                            asio::redirect_error(use_awaitable, ec));
        if (size == 0 && ec) break; // a pty ends with EIO
        if (!co_await pump->socket->write_binary(asio::buffer(buffer.get(), size))) break;
    }
    co_await pump->socket->write_text({});
    pump->reader_done = true;
    pump->idle.cancel();
}

Awaitable<void> end_input(PumpPtr pump) {
    error_code ec;
    pump->out.close(ec);
    if (!pump->channel.end_input) co_return;
    auto call = [&] { pump->channel.end_input(); };
    co_await pump->blocking(call);
}

/// Client → command. What the command does not take holds the client back, because nothing more is read.
Awaitable<void> receive_input(PumpPtr pump) {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kPiece);
    bool open = pump->channel.writable;
    if (open && !pump->channel.readable) pump->socket->read_ahead(kPiece); // not of a terminal: nobody types so fast
    while (true) {
        std::size_t size = 0;
        const auto kind = co_await pump->socket->read_waiting(asio::buffer(buffer.get(), kPiece), size);
        error_code ec;
        if (open && size > 0) // late input is dropped, as by a closed pipe
            co_await asio::async_write(pump->out, asio::buffer(buffer.get(), size),
                                       asio::redirect_error(use_awaitable, ec));
        if (kind == WebSocket::Kind::Closed) break;
        if (open && (kind == WebSocket::Kind::EndOfStream || ec)) {
            open = false;
            co_await end_input(pump);
        }
    }
    if (open) co_await end_input(pump);
    pump->writer_done = true;
    pump->idle.cancel();
}

Awaitable<void> receive_control(PumpPtr pump) {
    std::string text;
    while (co_await pump->socket->read_message(text, kMaxControlMessage) == WebSocket::Kind::Data) {
        if (!pump->channel.on_message) continue;
        bool understood = true;
        auto call = [&] { pump->channel.on_message(api::parse_json(text)); };
        try {
            co_await pump->blocking(call);
        } catch (const std::exception& error) {
            understood = false;
            pump->app.log.debug("Bad control message", {{"err", error.what()}});
        }
        if (!understood) break;
    }
    pump->writer_done = true;
    pump->idle.cancel();
}

Awaitable<void> guarded(Awaitable<void> side, PumpPtr pump) {
    try {
        co_await std::move(side);
    } catch (const std::exception& error) {
        pump->app.log.debug("Channel ended", {{"err", error.what()}});
        pump->reader_done = pump->writer_done = true;
        pump->idle.cancel();
    }
}

/// Lets the operation close the channel from its side, from any thread.
void accept_close_requests(const PumpPtr& pump, const Executor& executor) {
    if (!pump->channel.close_request) return;
    *pump->channel.close_request = [weak = std::weak_ptr{pump}, remote = Remote{executor}] {
        remote.post([weak] {
            if (const auto locked = weak.lock()) {
                locked->closing = true;
                locked->idle.cancel();
            }
        });
    };
}

Awaitable<void> run(PumpPtr pump, Executor executor) {
    const bool control = pump->channel.fd < 0;
    const bool reading = !control && pump->channel.readable;
    pump->reader_done = !reading;
    if (reading) asio::co_spawn(executor, guarded(send_output(pump), pump), asio::detached);
    asio::co_spawn(executor, guarded(control ? receive_control(pump) : receive_input(pump), pump), asio::detached);
    // with output to come, its end is the end; without, the client's or the operation's
    while (!pump->writer_done && !(reading && pump->reader_done) && !(pump->closing && !reading)) {
        error_code ec;
        co_await pump->idle.async_wait(asio::redirect_error(use_awaitable, ec));
        pump->idle.expires_at(Timer::time_point::max());
    }
    const bool peer_left = pump->writer_done;
    if (!peer_left)
        co_await pump->socket->close();
    else
        pump->socket->abort();
    pump->stop();
    auto call = [&] {
        if (pump->channel.on_close) pump->channel.on_close();
    };
    co_await pump->blocking(call);
}

/// The same identity that started the operation, and a secret of it (R28).
Channel connect(const Request& request, App& app) {
    const auto secret = request.query("secret");
    const auto operation = app.core.operations.find(request.param("id"));
    if (!operation && secret.empty()) throw HttpError{400, "missing secret"};
    if (!operation) throw Error{ErrorCode::NotFound, "Operation not found"};
    if (secret.empty()) throw HttpError{500, "missing secret"};
    const auto& owner = operation->caller();
    const auto& caller = request.identity.caller;
    if (owner.protocol != caller.protocol || owner.username != caller.username)
        throw Error{ErrorCode::Forbidden, "not authorized"};
    if (!operation->knows(secret)) throw HttpError{500, "permission denied"};
    try {
        return operation->connect(secret);
    } catch (const Error& error) {
        throw HttpError{500, error.what()}; // LXD answers all of these with 500
    }
}

Awaitable<Response> websocket(Exchange& exchange) {
    auto exists = [&] { return exchange.app.core.operations.find(exchange.request.param("id")) != nullptr; };
    if (!exchange.wants_websocket() && !exchange.request.query("secret").empty()) {
        const bool found = co_await exchange.blocking(exists);
        if (found) co_return Response::plain(400, "Bad Request\n");
    }
    const Executor executor = co_await asio::this_coro::executor;
    const auto pump = std::make_shared<Pump>(executor, exchange.app, exchange.request.identity.caller);
    // the descriptors are copied at once: connecting the last channel starts the command, which may end very soon
    auto take = [&] { pump->take(connect(exchange.request, exchange.app)); };
    co_await exchange.blocking(take);
    std::exception_ptr failure;
    try {
        pump->open();
        accept_close_requests(pump, executor);
        pump->socket = co_await exchange.upgrade();
        // The stock client does not read where it only writes (control, input), nor while nobody takes the output.
        pump->socket->allow_silence();
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        if (pump->channel.on_close) pump->channel.on_close();
        std::rethrow_exception(failure);
    }
    co_await run(pump, executor);
    Response done;
    done.upgraded = true;
    co_return done;
}

} // namespace

void add_operation_websocket_routes(Router& router) {
    router.add(Method::Get, "/1.0/operations/{id}/websocket", Permission::Trusted, websocket);
}

} // namespace lxdcore::daemon
