// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/process.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

using Clock = std::chrono::steady_clock;

/// A stream socket: unlike a pipe it can be written without a SIGPIPE when the child does not read.
std::pair<UniqueFd, UniqueFd> make_input() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
    return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

std::pair<UniqueFd, UniqueFd> make_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe");
    return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

/// Feeds and drains a child until it has closed its output and ended.
class Conversation {
public:
    Conversation(const std::vector<std::string>& argv, const RunOptions& options)
        : argv_{argv}, options_{options}, input_{options.input}, stop_event_{::eventfd(0, EFD_CLOEXEC)} {
        if (!stop_event_) throw_errno("eventfd");
        auto [in, their_in] = make_input();
        auto [out, their_out] = options.out < 0 ? make_pipe() : std::pair<UniqueFd, UniqueFd>{};
        auto [err, their_err] = make_pipe();
        SpawnOptions spawn_options;
        spawn_options.argv = argv;
        spawn_options.env = options.env;
        if (options.in >= 0) {
            input_ = {};
            spawn_options.fds.emplace_back(options.in, 0);
        }
        if (!input_.empty()) spawn_options.fds.emplace_back(their_in.get(), 0);
        spawn_options.fds.emplace_back(options.out < 0 ? their_out.get() : options.out, 1);
        spawn_options.fds.emplace_back(their_err.get(), 2);
        process_ = spawn(spawn_options);
        if (!input_.empty()) in_ = std::move(in);
        out_ = std::move(out);
        err_ = std::move(err);
    }

    RunResult finish() {
        const std::stop_callback on_stop{options_.stop, [this] { ::eventfd_write(stop_event_.get(), 1); }};
        const auto deadline = Clock::now() + options_.timeout;
        while (!ended_)
            step(deadline);
        return std::move(result_);
    }

private:
    void step(Clock::time_point deadline) {
        std::array<pollfd, 5> fds{{{in_.get(), POLLOUT, 0},
                                   {out_.get(), POLLIN, 0},
                                   {err_.get(), POLLIN, 0},
                                   {stop_event_.get(), POLLIN, 0},
                                   {process_.pidfd(), POLLIN, 0}}};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) throw Error{ErrorCode::Internal, fmt::format("{}: timed out", argv_[0])};
        if (::poll(fds.data(), fds.size(), static_cast<int>(std::min<std::int64_t>(left, 1'000'000'000))) < 0) {
            if (errno == EINTR) return;
            throw_errno("poll");
        }
        if (fds[3].revents != 0) throw Error{ErrorCode::Cancelled, fmt::format("{}: cancelled", argv_[0])};
        if (fds[0].revents != 0) feed();
        if (fds[1].revents != 0) drain(out_, result_.out);
        if (fds[2].revents != 0) drain(err_, result_.err);
        // A grandchild may keep the pipes open: the end of the child counts, once nothing more is waiting in them.
        if (fds[4].revents != 0 && (fds[1].revents | fds[2].revents) == 0) {
            result_.code = process_.wait();
            ended_ = true;
        }
    }

    void feed() {
        const auto wrote = ::send(in_.get(), input_.data(), input_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (wrote > 0) input_.remove_prefix(static_cast<std::size_t>(wrote));
        if (wrote < 0 || input_.empty()) in_.reset();
    }

    void drain(UniqueFd& fd, std::string& text) {
        std::array<char, 16384> buffer;
        const auto got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) return;
        if (got <= 0) return fd.reset();
        text.append(buffer.data(), std::min(static_cast<std::size_t>(got), options_.max_output - text.size()));
    }

    const std::vector<std::string>& argv_;
    const RunOptions& options_;
    std::string_view input_;
    UniqueFd stop_event_, in_, out_, err_;
    Process process_;
    RunResult result_;
    bool ended_ = false;
};

} // namespace

RunResult run(const std::vector<std::string>& argv, const RunOptions& options) {
    return Conversation{argv, options}.finish();
}

std::string run_checked(const std::vector<std::string>& argv, const RunOptions& options) {
    auto result = run(argv, options);
    if (result.code == 0) return std::move(result.out);
    const auto lines = text::split(text::trim(result.err), '\n');
    throw Error{
        ErrorCode::Internal,
        fmt::format("{}: {}", argv.at(0), lines.empty() ? fmt::format("exit status {}", result.code) : lines.back())};
}

} // namespace lxdcore
