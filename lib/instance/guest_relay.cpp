// SPDX-License-Identifier: Apache-2.0
#include "instance/guest_relay.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lxdcore::instance {

namespace {

constexpr std::size_t kBlock = 128u << 10;
constexpr std::uint64_t kRest = 1u << 20; ///< what a pipe can hold; a process left in the background may write for ever
constexpr int kRounds = 16;               ///< blocks in one go, so that one busy command does not starve the others

bool is_socket(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

} // namespace

Relay::Relay(Reactor& reactor, UniqueFd from, UniqueFd to, std::uint64_t limit, std::function<void()> ended)
    : reactor_{reactor}, from_{std::move(from)}, to_{std::move(to)}, limit_{limit},
      to_socket_{is_socket(to_.get())}, on_end_{std::move(ended)} {
    make_nonblocking(from_.get());
    make_nonblocking(to_.get());
}

void Relay::start() { wait_for(Wait::Input); }

void Relay::finish() {
    finishing_ = true;
    if (!ended_ && wait_ != Wait::Output) pump();
}

void Relay::stop() {
    wait_for(Wait::None);
    on_end_ = {};
    ended_ = true;
}

void Relay::wait_for(Wait what) {
    if (what == wait_) return;
    if (wait_ != Wait::None) reactor_.cancel(token_);
    wait_ = what;
    if (what == Wait::None) return;
    const bool input = what == Wait::Input;
    token_ =
        reactor_.watch(input ? from_.get() : to_.get(), input ? EPOLLIN : EPOLLOUT, [this](std::uint32_t) { pump(); });
}

bool Relay::fill() {
    buffer_.resize(kBlock);
    for (;;) {
        const ssize_t n = ::read(from_.get(), buffer_.data(), buffer_.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN && !finishing_) return false;
        input_done_ = n <= 0; // a pty whose other end is closed says EIO
        if (finishing_ && n > 0 && (rest_ += static_cast<std::uint64_t>(n)) > kRest) input_done_ = true;
        auto size = static_cast<std::uint64_t>(std::max<ssize_t>(n, 0));
        if (limit_ != 0) size = std::min(size, limit_ - moved_);
        moved_ += size;
        begin_ = 0;
        end_ = size;
        return size > 0 || !input_done_;
    }
}

bool Relay::flush() {
    while (begin_ < end_) {
        const char* const data = buffer_.data() + begin_;
        // The embedding program may not ignore SIGPIPE.
        const ssize_t n =
            to_socket_ ? ::send(to_.get(), data, end_ - begin_, MSG_NOSIGNAL) : ::write(to_.get(), data, end_ - begin_);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return false;
        if (n <= 0) {
            input_done_ = true; // nobody takes it any more
            begin_ = end_ = 0;
            return true;
        }
        begin_ += static_cast<std::size_t>(n);
    }
    return true;
}

void Relay::pump() {
    for (int round = 0; round < kRounds; ++round) {
        if (!flush()) return wait_for(Wait::Output);
        if (input_done_ || !fill()) break;
    }
    if (!flush()) return wait_for(Wait::Output);
    if (input_done_) return end();
    std::vector<char>{}.swap(buffer_);
    wait_for(Wait::Input);
}

void Relay::end() {
    wait_for(Wait::None);
    ended_ = true;
    ::shutdown(to_.get(), SHUT_WR); // of a socket: its reader sees the end; for anything else without effect
    from_.reset();
    to_.reset();
    if (const auto call = std::move(on_end_)) call();
}

} // namespace lxdcore::instance
