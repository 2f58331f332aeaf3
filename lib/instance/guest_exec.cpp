// SPDX-License-Identifier: Apache-2.0
#include "instance/guest_exec.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::milliseconds kDrainCheck{3};
constexpr std::size_t kLongestReply = 64u << 10;
constexpr char kTerminal = 'p', kListener = 'l'; ///< what the helper sends, see helper/exec_request.hpp
/// Of each recorded stream (R53); what comes after is read and dropped, so that the command can end.
constexpr std::uint64_t kRecordLimit = 64u << 20;

/// The descriptor that came with a message of the helper, if one did.
UniqueFd receive_fd(int socket, ssize_t& received, char& kind) {
    iovec part{&kind, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    received = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const cmsghdr* const header = received > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return {};
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return UniqueFd{fd};
}

UniqueFd duplicate(int fd) {
    UniqueFd copy{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    if (!copy) throw_errno("dup");
    return copy;
}

/// LXD's clients send numbers as texts.
int number(const nlohmann::json& value) {
    if (value.is_number_integer()) return value.get<int>();
    return value.is_string() ? static_cast<int>(text::parse_int(value.get<std::string>()).value_or(0)) : 0;
}

} // namespace

void ExecSession::launch() {
    if (std::exchange(launched_, true)) return;
    cancel(timer_);
    services_.pool.post([self = shared_from_this()] {
        try {
            int pair[2];
            if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) throw_errno("socketpair");
            UniqueFd ours{pair[0]};
            const UniqueFd theirs{pair[1]};
            std::vector<std::pair<int, int>> fds{{self->guest_.init_pidfd->get(), 5}, {theirs.get(), 6}};
            if (self->stdin_) fds.emplace_back(self->stdin_.get(), 0);
            if (self->stdout_) fds.emplace_back(self->stdout_.get(), 1);
            if (self->stderr_) fds.emplace_back(self->stderr_.get(), 2);
            auto running = self->services_.helper.start("exec", exec_request(self->guest_, self->request_), fds, true);
            auto started = std::make_shared<Started>(Started{std::move(running), std::move(ours)});
            self->services_.reactor.post([self, started] { self->adopt(std::move(*started)); });
        } catch (const std::exception& error) {
            self->services_.reactor.post([self, text = std::string{error.what()}] { self->fail(text); });
        }
    });
}

void ExecSession::adopt(Started started) {
    // Only the command holds these now: their end is its end.
    stdin_.reset();
    stdout_.reset();
    stderr_.reset();
    if (killed_) return fail("Command was stopped");
    running_ = std::move(started.running);
    control_ = std::move(started.control);
    ::fcntl(running_->reply.get(), F_SETFL, O_NONBLOCK);
    auto& reactor = services_.reactor;
    reply_token_ =
        reactor.watch(running_->reply.get(), EPOLLIN, [self = shared_from_this()](auto) { self->on_reply(); });
    if (request_.interactive || guest_.serve_calls)
        control_token_ =
            reactor.watch(control_.get(), EPOLLIN, [self = shared_from_this()](auto) { self->on_control(); });
    for (auto& [name, pipe] : pipes_) {
        relays_[name] = std::make_unique<Relay>(reactor, std::move(pipe), std::move(sockets_[name]),
                                                request_.wait_for_websocket ? 0 : kRecordLimit, drained());
        relays_[name]->start();
    }
    pipes_.clear();
}

/// Posted, because the relay that calls it may be destroyed by what it leads to.
std::function<void()> ExecSession::drained() {
    return [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->services_.reactor.post([self] { self->finish_when_drained(); });
    };
}

void ExecSession::on_reply() {
    const auto self = shared_from_this();
    char block[4096];
    for (;;) {
        const ssize_t n = ::read(running_->reply.get(), block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) break;
        reply_.append(block, static_cast<std::size_t>(n));
        for (auto end = reply_.find('\n'); end != std::string::npos; end = reply_.find('\n')) {
            on_line(reply_.substr(0, end));
            reply_.erase(0, end + 1);
        }
        if (reply_.size() > kLongestReply) break;
    }
    cancel(reply_token_);
    running_->process.kill(SIGKILL); // it has said everything
    running_->process.wait();
    if (!ended_) {
        failure_ = "Command ended without a result";
        command_ended(-1);
    }
}

void ExecSession::on_line(const std::string& line) {
    const auto reply = nlohmann::json::parse(line, nullptr, false);
    if (!reply.is_object() || ended_) return;
    if (reply.contains("pid")) {
        services_.events.lifecycle(guest_.ref.project, "instance-exec", instance_url(guest_.ref),
                                   {{"command", request_.command}});
        return;
    }
    if (!reply.value("ok", false)) failure_ = reply.value("error", "Failed to run the command");
    command_ended(reply.value("return", -1));
}

void ExecSession::on_control() {
    ssize_t received = 0;
    char kind = 0;
    UniqueFd fd = receive_fd(control_.get(), received, kind);
    if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR)) return cancel(control_token_);
    if (fd && kind == kListener && guest_.serve_calls) return guest_.serve_calls(std::move(fd));
    if (!fd || kind != kTerminal || terminal_ || sockets_.count("0") == 0) return;
    terminal_ = std::move(fd);
    relays_["in"] = std::make_unique<Relay>(services_.reactor, duplicate(sockets_["0"].get()),
                                            duplicate(terminal_.get()), 0, [] {});
    relays_["0"] =
        std::make_unique<Relay>(services_.reactor, duplicate(terminal_.get()), std::move(sockets_["0"]), 0, drained());
    for (const auto* name : {"in", "0"})
        relays_[name]->start();
}

void ExecSession::on_message(const nlohmann::json& message) {
    const auto command = message.value("command", "");
    if (command == "window-resize") {
        const auto& args = message.at("args");
        resize(number(args.at("width")), number(args.at("height")));
    } else if (command == "signal") {
        send_signal(number(message.at("signal")));
    }
}

void ExecSession::resize(int width, int height) {
    if (!terminal_ || width <= 0 || height <= 0 || width > 65535 || height > 65535) return;
    winsize size{};
    size.ws_col = static_cast<unsigned short>(width);
    size.ws_row = static_cast<unsigned short>(height);
    ::ioctl(terminal_.get(), TIOCSWINSZ, &size);
}

void ExecSession::send_signal(int signal) {
    if (!control_ || signal <= 0 || signal >= _NSIG) return;
    const auto byte = static_cast<unsigned char>(signal);
    ::send(control_.get(), &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ExecSession::kill() noexcept {
    services_.reactor.post([self = shared_from_this()] {
        self->killed_ = true;
        if (!self->launched_) return self->fail("Command was stopped");
        self->cancel(self->control_token_);
        self->control_.reset(); // the helper kills the command when its life line ends
    });
}

void ExecSession::command_ended(int code) {
    if (std::exchange(ended_, true)) return;
    if (code >= 0) result_["return"] = code;
    if (request_.interactive && !terminal_ && control_) on_control(); // its message came before the command's end
    for (auto& [name, relay] : relays_)
        if (name != "in" && !relay->ended()) relay->finish();
    finish_when_drained();
}

bool ExecSession::delivered() const {
    for (const auto& [name, relay] : relays_)
        if (name != "in" && !relay->ended()) return false;
    for (const auto& [name, fd] : channel_fds_) {
        int pending = 0;
        if (name == "in" || open_.count(name) == 0 || (name == "0" && !request_.interactive)) continue;
        if (::ioctl(fd.get(), FIONREAD, &pending) == 0 && pending > 0) return false;
    }
    return true;
}

void ExecSession::finish_when_drained() {
    if (!ended_ || finished_ || timer_ != 0) return;
    if (delivered()) return finish();
    // The client has not taken everything yet: how fast it reads is its business.
    timer_ = services_.reactor.after(kDrainCheck, [self = shared_from_this()] {
        self->timer_ = 0;
        self->finish_when_drained();
    });
}

void ExecSession::finish() {
    if (std::exchange(finished_, true)) return;
    if (!result_.empty()) operation_->context().update_metadata(result_);
    if (failure_.empty())
        operation_->succeed();
    else
        operation_->fail(failure_);
    release();
}

void ExecSession::fail(const std::string& text) {
    if (std::exchange(finished_, true)) return;
    ended_ = true;
    operation_->fail(text);
    release();
}

void ExecSession::release() {
    const auto self = shared_from_this();
    cancel(timer_);
    cancel(control_token_);
    // A client that has not seen the end of its stream yet sees it by the shutdown of our side.
    for (auto& [name, request] : close_requests_)
        if (*request) (*request)();
    relays_.clear();
    sockets_.clear();
    pipes_.clear();
    channel_fds_.clear();
    terminal_.reset();
    control_.reset();
}

void ExecSession::cancel(Reactor::Token& token) {
    if (token != 0) services_.reactor.cancel(std::exchange(token, 0));
}

} // namespace lxdcore::instance
