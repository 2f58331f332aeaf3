// SPDX-License-Identifier: Apache-2.0
#include "client/channels.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <csignal>

#include <boost/asio/write.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore::client {

namespace {

/// A wish to end that poll() sees.
class StopEvent {
public:
    StopEvent() : event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        if (!event_) throw_errno("eventfd");
    }
    int fd() const noexcept { return event_.get(); }
    void set() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto size = ::write(event_.get(), &one, sizeof one);
    }

private:
    UniqueFd event_;
};

/// Waits until @p fd is ready for @p events; false when it is to end.
bool ready(int fd, short events, const StopEvent& stop) {
    pollfd waiting[] = {{fd, events, 0}, {stop.fd(), POLLIN, 0}};
    while (::poll(waiting, 2, -1) < 0)
        if (errno != EINTR) return false;
    return waiting[1].revents == 0 || waiting[0].revents != 0;
}

bool write_all(int fd, std::string_view data, const StopEvent& stop) {
    while (!data.empty()) {
        const auto size = ::write(fd, data.data(), data.size());
        if (size >= 0)
            data.remove_prefix(static_cast<std::size_t>(size));
        else if (errno != EINTR && (errno != EAGAIN || !ready(fd, POLLOUT, stop)))
            return false;
    }
    return true;
}

/// Websocket to @p fd, to the end of the stream; -1: nobody wants it.
void drain(WebSocket& socket, int fd, const StopEvent& stop) {
    std::string data;
    bool wanted = fd >= 0;
    while (socket.read(data) == WebSocket::Kind::Data)
        wanted = wanted && write_all(fd, data, stop);
}

/// @p fd to websocket, to end of file; -1: there is nothing.
void feed(int fd, WebSocket& socket, const StopEvent& stop) {
    char piece[64 * 1024];
    while (fd >= 0) {
        if (!ready(fd, POLLIN, stop)) return;
        const auto size = ::read(fd, piece, sizeof piece);
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (size <= 0) break;
        if (!socket.write({piece, static_cast<std::size_t>(size)})) return;
    }
    socket.write({}, true);
}

/// A thread that no signal is for: one that comes for a closed pipe is an error of its write, nothing more.
template <class Work>
void run_apart(Work work) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread{[work = std::move(work)] {
            try {
                work();
            } catch (const std::exception&) { // the server has gone: the operation says so
            }
        }}.detach();
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

UniqueFd duplicate(int fd) {
    if (fd < 0) return {};
    UniqueFd copy{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    if (!copy) throw_errno("dup");
    return copy;
}

Awaitable<void> open_upgraded(Http& http, HttpRequest request, std::string& early, std::optional<Stream>& into) {
    into.emplace(co_await http.upgrade(std::move(request), early));
}

Awaitable<std::size_t> read_some(Stream& stream, std::string& into) {
    error_code ec;
    const auto size = co_await stream.async_read_some(asio::buffer(into), asio::redirect_error(use_awaitable, ec));
    co_return ec ? 0 : size;
}

Awaitable<bool> write_whole(Stream& stream, std::string_view data) {
    error_code ec;
    co_await asio::async_write(stream, asio::buffer(data), asio::redirect_error(use_awaitable, ec));
    co_return !ec;
}

Awaitable<void> close_stream(Stream& stream) {
    stream.close();
    co_return;
}

/// The streams of one command.
struct Attached {
    std::shared_ptr<WebSocket> in, out, err, control;
    UniqueFd in_fd, out_fd, err_fd;
    StopEvent stop;
};

} // namespace

Channel control_channel(std::shared_ptr<WebSocket> socket) {
    Channel channel;
    channel.on_message = [socket](const nlohmann::json& message) { socket->write(message.dump(), true); };
    channel.on_close = [socket] { socket->close(); };
    return channel;
}

Channel data_channel(std::shared_ptr<WebSocket> socket) {
    struct Pair {
        std::shared_ptr<WebSocket> socket;
        UniqueFd user, ours;
        StopEvent stop;
    };
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    auto pair = std::make_shared<Pair>();
    pair->socket = std::move(socket);
    pair->user.reset(ends[0]);
    pair->ours.reset(ends[1]);
    run_apart([pair] {
        drain(*pair->socket, pair->ours.get(), pair->stop);
        ::shutdown(pair->ours.get(), SHUT_RDWR);
        pair->stop.set();
    });
    run_apart([pair] { feed(pair->ours.get(), *pair->socket, pair->stop); });
    Channel channel;
    channel.fd = pair->user.get();
    channel.readable = channel.writable = true;
    channel.end_input = [pair] { ::shutdown(pair->user.get(), SHUT_WR); };
    channel.on_close = [pair] {
        pair->stop.set();
        pair->socket->abort();
    };
    return channel;
}

std::shared_ptr<const int> upgraded_socket(std::shared_ptr<Http> http, const std::string& target,
                                           const std::string& protocol) {
    struct Session {
        ~Session() {
            if (!stream) return;
            asio::post(http->thread().io(),
                       [stream = std::make_shared<Stream>(std::move(*stream))] { stream->close(); });
        }
        std::shared_ptr<Http> http;
        std::optional<Stream> stream;
        UniqueFd ours;
        StopEvent stop;
    };
    std::string early;
    HttpRequest request{"GET", target, {{"Connection", "Upgrade"}, {"Upgrade", protocol}}};
    auto session = std::make_shared<Session>();
    session->http = std::move(http);
    session->http->thread().run(open_upgraded(*session->http, std::move(request), early, session->stream));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    session->ours.reset(ends[1]);
    const std::shared_ptr<const int> user{new int{ends[0]}, [](const int* fd) {
                                              ::close(*fd);
                                              delete fd;
                                          }};
    write_all(session->ours.get(), early, session->stop);
    run_apart([session] {
        std::string piece(64 * 1024, '\0');
        while (const auto size = session->http->thread().run(read_some(*session->stream, piece)))
            if (!write_all(session->ours.get(), {piece.data(), size}, session->stop)) break;
        ::shutdown(session->ours.get(), SHUT_RDWR);
    });
    run_apart([session] {
        char piece[64 * 1024];
        for (ssize_t size = 0; (size = ::read(session->ours.get(), piece, sizeof piece)) > 0;)
            if (!session->http->thread().run(write_whole(*session->stream, {piece, static_cast<std::size_t>(size)})))
                break;
        session->http->thread().run(close_stream(*session->stream));
    });
    return user;
}

void attach_streams(const std::shared_ptr<Rest>& rest, const std::shared_ptr<RemoteOperation>& operation,
                    const InstanceService::ExecStreams& streams, bool interactive) {
    // With the last of them the command starts, and its end must not be told before somebody reads what it wrote.
    operation->hold();
    const std::shared_ptr<RemoteOperation> held{operation.get(), [operation](auto*) { operation->release(); }};
    const auto secrets = operation->secrets();
    const auto open = [&](const char* name) {
        auto socket = std::make_shared<WebSocket>(rest->http());
        auto url = Url{"/1.0/operations"} / operation->id() / "websocket";
        socket->connect(url.query("secret", secrets.value(name, "")).str());
        return socket;
    };
    auto all = std::make_shared<Attached>();
    all->in_fd = duplicate(streams.in);
    all->out_fd = duplicate(streams.out);
    all->err_fd = duplicate(streams.err);
    all->in = open("0");
    all->out = interactive ? all->in : open("1");
    if (!interactive) all->err = open("2");
    if (interactive) all->control = open("control");
    const auto pump_out = [&](auto member, auto fd) {
        operation->hold();
        run_apart([all, operation, member, fd] {
            try {
                drain(*((*all).*member), ((*all).*fd).get(), all->stop);
            } catch (const std::exception&) { // the server has gone: the operation says so
            }
            ((*all).*fd).reset(); // a reader of a pipe sees its end no later than that of the operation
            operation->release();
        });
    };
    pump_out(&Attached::out, &Attached::out_fd);
    if (all->err) pump_out(&Attached::err, &Attached::err_fd);
    run_apart([all] {
        feed(all->in_fd.get(), *all->in, all->stop);
        all->in_fd.reset();
    });
    operation->on_end([all] {
        all->stop.set();
        for (const auto& socket : {all->in, all->out, all->err, all->control})
            if (socket) socket->abort();
    });
}

} // namespace lxdcore::client
