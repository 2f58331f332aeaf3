// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "instance/guest_exec.hpp"
#include "operation/operation_types.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kConnectTime{5};
constexpr int kPipeSize = 256 << 10; ///< a large stream then changes hands less often

std::pair<UniqueFd, UniqueFd> make_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe");
    ::fcntl(fds[0], F_SETPIPE_SZ, kPipeSize); // refused, it stays what it is
    return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

std::pair<UniqueFd, UniqueFd> make_socketpair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
    return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

} // namespace

ExecSession::ExecSession(const GuestAccess::Services& services, RunningGuest guest, api::InstanceExecPost request)
    : services_{services}, guest_{std::move(guest)}, request_{std::move(request)} {}

void ExecSession::make_operation(OperationClass klass) {
    operation_ = services_.operations.create({.klass = klass,
                                              .type = kCommandExec,
                                              .project = guest_.ref.project,
                                              .resources = {{"instances", {"/1.0/instances/" + guest_.ref.name}},
                                                            {"containers", {"/1.0/containers/" + guest_.ref.name}}}});
}

OperationPtr ExecSession::create() {
    const auto self = shared_from_this();
    make_operation(request_.wait_for_websocket ? OperationClass::Websocket : OperationClass::Task);
    const auto operation = operation_->operation();
    if (request_.wait_for_websocket) {
        add_channels();
    } else if (request_.record_output && !request_.interactive) {
        record_output();
    }
    operation_->run();
    if (request_.command.empty()) {
        operation_->fail("Failed to retrieve PID of executing child process");
    } else if (request_.wait_for_websocket) {
        services_.reactor.post([self] {
            if (self->launched_ || self->finished_) return;
            self->timer_ = self->services_.reactor.after(kConnectTime, [self] {
                self->timer_ = 0;
                if (!self->launched_) self->fail("Timed out waiting for websockets to connect");
            });
        });
    } else {
        services_.reactor.post([self] { self->launch(); });
    }
    return operation;
}

OperationPtr ExecSession::create(const InstanceService::ExecStreams& streams) {
    if (request_.interactive)
        throw Error{ErrorCode::InvalidArgument, "An interactive command needs channels of its own"};
    make_operation(OperationClass::Task);
    const auto copy = [](int fd) { return UniqueFd{fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3)}; };
    stdin_ = copy(streams.in);
    stdout_ = copy(streams.out);
    stderr_ = copy(streams.err);
    operation_->run();
    services_.reactor.post([self = shared_from_this()] { self->launch(); });
    return operation_->operation();
}

void ExecSession::add_channels() {
    if (request_.interactive) {
        add_terminal_channel();
    } else {
        add_input_channel();
        add_output_channel("1", 1);
        add_output_channel("2", 2);
    }
    add_control_channel();
    operation_->context().update_metadata({{"fds", fds_},
                                           {"command", request_.command},
                                           {"environment", request_.environment},
                                           {"interactive", request_.interactive}});
}

void ExecSession::add_input_channel() {
    auto [reading, writing] = make_pipe();
    stdin_ = std::move(reading);
    Channel channel;
    channel.fd = writing.get();
    channel.writable = true;
    channel_fds_["0"] = std::move(writing);
    const auto close = [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->services_.reactor.post([self] {
            self->open_.erase("0");
            self->channel_fds_.erase("0");
        });
    };
    channel.end_input = close;
    channel.on_close = close;
    channel.close_request = close_requests_["0"] = std::make_shared<std::function<void()>>();
    awaited_.insert("0");
    fds_["0"] = operation_->add_channel("0", std::move(channel), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->connected("0");
    });
}

void ExecSession::add_output_channel(const std::string& name, int number) {
    auto [reading, writing] = make_pipe();
    (number == 1 ? stdout_ : stderr_) = std::move(writing);
    pipes_[name] = std::move(reading);
    auto [ours, theirs] = make_socketpair();
    sockets_[name] = std::move(ours);
    Channel channel;
    channel.fd = theirs.get();
    channel.readable = true;
    channel_fds_[name] = std::move(theirs);
    channel.on_close = [weak = weak_from_this(), name] {
        const auto self = weak.lock();
        if (!self) return;
        self->services_.reactor.post([self, name] {
            // Without a reader the relay's next write fails, it closes the pipe, and the command gets SIGPIPE.
            self->open_.erase(name);
            self->channel_fds_.erase(name);
            self->finish_when_drained();
        });
    };
    channel.close_request = close_requests_[name] = std::make_shared<std::function<void()>>();
    awaited_.insert(name);
    fds_[name] = operation_->add_channel(name, std::move(channel), [weak = weak_from_this(), name] {
        if (const auto self = weak.lock()) self->connected(name);
    });
}

void ExecSession::add_terminal_channel() {
    auto [ours, theirs] = make_socketpair();
    sockets_["0"] = std::move(ours);
    Channel channel;
    channel.fd = theirs.get();
    channel.readable = channel.writable = true;
    channel_fds_["0"] = std::move(theirs);
    channel.on_close = [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->services_.reactor.post([self] {
            self->open_.erase("0");
            self->channel_fds_.erase("0");
            // As when a terminal is unplugged.
            self->send_signal(SIGHUP);
            self->finish_when_drained();
        });
    };
    channel.close_request = close_requests_["0"] = std::make_shared<std::function<void()>>();
    awaited_.insert("0");
    fds_["0"] = operation_->add_channel("0", std::move(channel), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->connected("0");
    });
}

void ExecSession::add_control_channel() {
    Channel channel;
    channel.on_message = [weak = weak_from_this()](const nlohmann::json& message) {
        const auto self = weak.lock();
        if (!self) return;
        self->services_.reactor.post([self, message] {
            try {
                self->on_message(message);
            } catch (const std::exception& error) {
                self->services_.log.debug("Bad control message", {{"err", error.what()}});
            }
        });
    };
    channel.on_close = [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->services_.reactor.post([self] {
            if (!self->ended_) self->send_signal(SIGKILL);
        });
    };
    channel.close_request = close_requests_["control"] = std::make_shared<std::function<void()>>();
    fds_["control"] = operation_->add_channel("control", std::move(channel), [] {});
}

void ExecSession::record_output() {
    const auto dir = Dir::open(guest_.log_path);
    const auto id = operation_->operation()->id();
    auto urls = nlohmann::json::object();
    for (const auto& [name, suffix] : {std::pair{"1", ".stdout"}, std::pair{"2", ".stderr"}}) {
        const auto file = "exec_" + id + suffix;
        sockets_[name] = dir.open_file(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
        auto [reading, writing] = make_pipe();
        pipes_[name] = std::move(reading);
        (name[0] == '1' ? stdout_ : stderr_) = std::move(writing);
        urls[name] = "/1.0/instances/" + guest_.ref.name + "/logs/" + file;
    }
    result_["output"] = std::move(urls);
}

void ExecSession::connected(const std::string& name) {
    services_.reactor.post([self = shared_from_this(), name] {
        self->open_.insert(name);
        self->awaited_.erase(name);
        if (self->awaited_.empty() && !self->finished_) self->launch();
    });
}

} // namespace lxdcore::instance
