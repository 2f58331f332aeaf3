// SPDX-License-Identifier: Apache-2.0
#include "instance/intercept/syscall_server.hpp"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <lxdcore/error.hpp>

#include "instance/intercept/syscall_call.hpp"

namespace lxdcore::instance {

namespace {

/// liblxc 5.0's head of a forwarded call. The kernel's seccomp_notif, seccomp_notif_resp and the cookie follow; an
/// answer has no cookie. With it come descriptors: the caller's /proc directory, its memory, the listener.
struct Head {
    std::uint64_t reserved;
    std::int32_t monitor_pid, init_pid;
    seccomp_notif_sizes sizes;
    std::uint64_t cookie_size;
};
static_assert(sizeof(Head) == 32);

constexpr std::size_t kDescriptors = 3, kListener = 2, kMaxMessage = 4096;

struct Message {
    Head head{};
    seccomp_notif call{};
    std::string cookie;
    std::array<UniqueFd, kDescriptors> fds;
};

/// One message, or an errno. What does not have the sizes of this kernel's structures is EPROTO.
int receive(int socket, Message& out) {
    std::array<char, kMaxMessage> bytes;
    alignas(cmsghdr) char control[CMSG_SPACE(kDescriptors * sizeof(int))];
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    do
        n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno;
    if (n == 0) return EPIPE;
    for (auto* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr; part_of = CMSG_NXTHDR(&message, part_of)) {
        if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
        const auto count = (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count && i < kDescriptors; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part_of) + i * sizeof fd, sizeof fd);
            out.fds[i].reset(fd);
        }
    }
    const auto size = static_cast<std::size_t>(n);
    if ((message.msg_flags & MSG_TRUNC) != 0 || size < sizeof out.head) return EPROTO;
    std::memcpy(&out.head, bytes.data(), sizeof out.head);
    const auto& sizes = out.head.sizes;
    const std::size_t before_cookie = sizeof out.head + sizes.seccomp_notif + sizes.seccomp_notif_resp;
    if (sizes.seccomp_notif != sizeof(seccomp_notif) || sizes.seccomp_notif_resp != sizeof(seccomp_notif_resp) ||
        size < before_cookie || out.head.cookie_size > size - before_cookie)
        return EPROTO;
    std::memcpy(&out.call, bytes.data() + sizeof out.head, sizeof out.call);
    out.cookie.assign(bytes.data() + before_cookie, out.head.cookie_size);
    while (!out.cookie.empty() && out.cookie.back() == '\0')
        out.cookie.pop_back();
    return 0;
}

bool send_answer(int socket, const Message& message, const SyscallAnswer& answer) {
    auto response = response_to(message.call, answer);
    Head head = message.head;
    head.cookie_size = 0;
    iovec parts[] = {{&head, sizeof head},
                     {const_cast<seccomp_notif*>(&message.call), sizeof message.call},
                     {&response, sizeof response}};
    msghdr out{};
    out.msg_iov = parts;
    out.msg_iovlen = std::size(parts);
    return ::sendmsg(socket, &out, MSG_NOSIGNAL) >= 0;
}

InstanceRef from_cookie(const std::string& cookie) {
    const auto slash = cookie.find('/');
    if (slash == std::string::npos) throw Error{ErrorCode::NotFound, "Instance not found"};
    return {cookie.substr(0, slash), cookie.substr(slash + 1)};
}

} // namespace

SyscallServer::SyscallServer(const HelperProgram& helper, const Logger& log, Rules rules, Run run)
    : helper_{helper}, log_{log}, rules_{std::move(rules)}, run_{std::move(run)}, stop_{::eventfd(0, EFD_CLOEXEC)} {
    if (!stop_) throw_errno("eventfd");
}

SyscallServer::~SyscallServer() {
    stopping_ = true;
    ::eventfd_write(stop_.get(), 1);
    std::unique_lock lock{mutex_};
    idle_.wait(lock, [&] { return threads_ == 0; });
}

std::string SyscallServer::cookie(const InstanceRef& ref) { return ref.project + "/" + ref.name; }

void SyscallServer::start(std::function<void()> work) {
    {
        const std::lock_guard lock{mutex_};
        ++threads_;
    }
    std::thread{[this, work = std::move(work)] {
        try {
            work();
        } catch (const std::exception& error) {
            log_.warning("Serving intercepted system calls ended", {{"err", error.what()}});
        }
        const std::lock_guard lock{mutex_};
        --threads_;
        idle_.notify_all();
    }}.detach();
}

bool SyscallServer::wait_for(int fd) const {
    pollfd fds[] = {{fd, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(fds, 2, -1) < 0)
        if (errno != EINTR) throw_errno("poll");
    return fds[1].revents == 0 && (fds[0].revents & POLLIN) != 0;
}

void SyscallServer::listen(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw Error{ErrorCode::InvalidArgument, "Too long a path: " + path};
    std::memcpy(address.sun_path, path.data(), path.size());
    auto socket = std::make_shared<UniqueFd>(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!*socket) throw_errno("socket");
    // Mode first: nobody else may connect at any moment.
    if (::fchmod(socket->get(), 0700) != 0 ||
        ::bind(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(path.c_str(), 0700) != 0 || ::listen(socket->get(), SOMAXCONN) != 0)
        throw_errno("listen on " + path);
    start([this, socket] { accept_all(socket->get()); });
}

void SyscallServer::accept_all(int socket) {
    while (wait_for(socket)) {
        auto peer = std::make_shared<UniqueFd>(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC));
        if (!*peer) { // no descriptors left, perhaps: the connection waits in the queue
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
            continue;
        }
        ucred who{};
        socklen_t size = sizeof who;
        if (::getsockopt(peer->get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != 0) continue;
        start([this, peer] { serve_monitor(peer->get()); });
    }
}

void SyscallServer::serve_monitor(int socket) {
    while (wait_for(socket)) {
        Message message;
        if (receive(socket, message) != 0 || !message.fds[kListener]) return;
        SyscallAnswer answer;
        try {
            const auto about = context(from_cookie(message.cookie), message.head.init_pid);
            answer = carry_out(about, message.call, message.fds[kListener].get());
        } catch (const std::exception& error) {
            log_.warning("Intercepted system call failed", {{"instance", message.cookie}, {"err", error.what()}});
        }
        if (!send_answer(socket, message, answer)) return;
    }
}

void SyscallServer::serve(const InstanceRef& ref, int init_pid, UniqueFd listener) {
    auto shared = std::make_shared<UniqueFd>(std::move(listener));
    start([this, ref, init_pid, shared] { serve_listener(ref, init_pid, shared->get()); });
}

SyscallContext SyscallServer::context(const InstanceRef& ref, int init_pid) const {
    return {.helper = helper_,
            .guest = rules_(ref),
            .init_pid = init_pid,
            .run = [this, ref](std::vector<std::string> command) { return run_(ref, std::move(command)); },
            .stopping = stopping_};
}

void SyscallServer::serve_listener(const InstanceRef& ref, int init_pid, int listener) {
    while (wait_for(listener)) {
        seccomp_notif call{};
        if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
            if (errno == EINTR || errno == ENOENT) continue; // the caller was killed meanwhile
            return;
        }
        SyscallAnswer answer;
        try {
            answer = carry_out(context(ref, init_pid), call, listener);
        } catch (const std::exception& error) {
            log_.warning("Intercepted system call failed", {{"instance", ref.name}, {"err", error.what()}});
        }
        auto response = response_to(call, answer);
        if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0 && errno != ENOENT) return;
    }
}

} // namespace lxdcore::instance
