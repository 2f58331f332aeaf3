// SPDX-License-Identifier: Apache-2.0
#include "http/acceptor.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>

namespace lxdcore::daemon {

namespace {

struct AcceptLoop : std::enable_shared_from_this<AcceptLoop> {
    using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
    AcceptLoop(IoThreads& io_threads, int fd, int socket_family, std::function<void(IoThread&, Socket)> handler)
        : threads{io_threads}, family{socket_family}, accepted{std::move(handler)},
          listening{io_threads.first().io(), fd}, pause{io_threads.first().io()} {}

    void wait() {
        listening.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](error_code ec) {
            if (!ec) self->accept_all();
        });
    }

    void accept_all() {
        constexpr int kBurst = 64;
        for (int i = 0; i < kBurst; ++i) {
            const int fd = ::accept4(listening.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) {
                hand_over(fd);
                continue;
            }
            if (errno == ECONNABORTED || errno == EINTR) continue;
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) return later();
            break;
        }
        wait();
    }

    /// A peer that is gone without a word is noticed within 80 s (R56).
    void keep_alive(int fd) const {
        const auto set = [&](int level, int option, int value) {
            ::setsockopt(fd, level, option, &value, sizeof value);
        };
        set(SOL_SOCKET, SO_KEEPALIVE, 1);
        set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
        set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
        set(IPPROTO_TCP, TCP_KEEPCNT, 5);
    }

    void hand_over(int fd) {
        if (family != AF_UNIX) keep_alive(fd);
        IoThread& thread = threads.next();
        Socket socket{thread.io(), asio::generic::stream_protocol{family, 0}, fd};
        asio::post(thread.io(), [self = shared_from_this(), &thread, socket = std::move(socket)]() mutable {
            self->accepted(thread, std::move(socket));
        });
    }

    void later() {
        constexpr std::chrono::milliseconds kPause{100};
        pause.expires_after(kPause);
        pause.async_wait([self = shared_from_this()](error_code ec) {
            if (!ec) self->wait();
        });
    }

    IoThreads& threads;
    const int family;
    std::function<void(IoThread&, Socket)> accepted;
    Descriptor listening;
    Timer pause;
};

} // namespace

std::shared_ptr<void> accept_loop(IoThreads& threads, int fd, int family,
                                  std::function<void(IoThread& thread, Socket socket)> accepted) {
    auto loop = std::make_shared<AcceptLoop>(threads, fd, family, std::move(accepted));
    loop->wait();
    return {loop.get(), [loop, &threads](void*) mutable {
                asio::post(threads.first().io(), [loop] {
                    error_code ec;
                    loop->listening.close(ec);
                    loop->pause.cancel();
                });
                loop.reset();
            }};
}

} // namespace lxdcore::daemon
