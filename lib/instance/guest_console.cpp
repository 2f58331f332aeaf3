// SPDX-License-Identifier: Apache-2.0
#include "instance/guest_console.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "instance/guest_exec.hpp"
#include "operation/operation_types.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kConnectTime{5};

int number(const nlohmann::json& value) {
    if (value.is_number_integer()) return value.get<int>();
    return value.is_string() ? static_cast<int>(text::parse_int(value.get<std::string>()).value_or(0)) : 0;
}

} // namespace

std::function<void()> ConsoleSession::posted(void (ConsoleSession::*step)()) {
    return [weak = weak_from_this(), step] {
        if (const auto self = weak.lock()) self->services_.reactor.post([self, step] { ((*self).*step)(); });
    };
}

OperationPtr ConsoleSession::create(int width, int height) {
    width_ = width;
    height_ = height;
    try {
        console_ = open_lxc_console(guest_.lxc_path, guest_.lxc_name);
    } catch (const Error& error) { // said on the channel, as LXD does
        services_.log.debug("No console", {{"instance", guest_.ref.name}, {"err", error.what()}});
    }
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
    ours_.reset(fds[0]);
    theirs_.reset(fds[1]);
    operation_ = services_.operations.create({.klass = OperationClass::Websocket,
                                              .type = kConsoleShow,
                                              .project = guest_.ref.project,
                                              .resources = {{"instances", {"/1.0/instances/" + guest_.ref.name}},
                                                            {"containers", {"/1.0/containers/" + guest_.ref.name}}}});
    add_channels();
    const auto operation = operation_->operation();
    operation_->run();
    services_.reactor.post([self = shared_from_this()] {
        if (self->finished_ || self->attached_) return;
        self->timer_ = self->services_.reactor.after(kConnectTime, [self] {
            self->timer_ = 0;
            self->end("Timed out waiting for websockets to connect");
        });
    });
    return operation;
}

void ConsoleSession::add_channels() {
    Channel data;
    data.fd = theirs_.get();
    data.readable = data.writable = true;
    data.on_close = posted(&ConsoleSession::detached);
    data.close_request = close_data_ = std::make_shared<std::function<void()>>();
    auto fds = nlohmann::json::object();
    fds["0"] = operation_->add_channel("0", std::move(data), posted(&ConsoleSession::attach));
    Channel control;
    control.on_message = [weak = weak_from_this()](const nlohmann::json& message) {
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
    control.on_close = posted(&ConsoleSession::detached);
    control.close_request = close_control_ = std::make_shared<std::function<void()>>();
    fds["control"] = operation_->add_channel("control", std::move(control), [] {});
    operation_->context().update_metadata({{"fds", std::move(fds)}});
}

void ConsoleSession::attach() {
    if (finished_ || std::exchange(attached_, true)) return;
    if (timer_ != 0) services_.reactor.cancel(std::exchange(timer_, 0));
    if (!console_.master) return refuse();
    resize(width_, height_);
    const auto copy = [](const UniqueFd& fd) { return UniqueFd{::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)}; };
    in_ = std::make_unique<Relay>(services_.reactor, copy(ours_), copy(console_.master), 0, [] {});
    out_ = std::make_unique<Relay>(services_.reactor, copy(console_.master), copy(ours_), 0,
                                   posted(&ConsoleSession::detached));
    in_->start();
    out_->start();
    init_token_ = services_.reactor.watch(guest_.init_pidfd->get(), EPOLLIN,
                                          [self = shared_from_this()](std::uint32_t) { self->end({}); });
    services_.events.lifecycle(guest_.ref.project, "instance-console", instance_url(guest_.ref), {{"type", "console"}});
}

/// Whoever has the console keeps it. The reader gets the words of LXD's helper, and then the end of its stream.
void ConsoleSession::refuse() {
    constexpr std::string_view text = "Error: Failed running forkconsole: \"attaching to the container failed\"\n\r";
    if (::send(ours_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return end(kRefused);
    ::shutdown(ours_.get(), SHUT_WR);
    // A client that does not read ends it too late.
    timer_ = services_.reactor.after(kConnectTime, [self = shared_from_this()] {
        self->timer_ = 0;
        self->end(kRefused);
    });
}

void ConsoleSession::on_message(const nlohmann::json& message) {
    if (message.value("command", "") != "window-resize") return;
    resize(number(message.at("args").at("width")), number(message.at("args").at("height")));
}

void ConsoleSession::resize(int width, int height) {
    if (!console_.master || width <= 0 || height <= 0 || width > 65535 || height > 65535) return;
    winsize size{};
    size.ws_col = static_cast<unsigned short>(width);
    size.ws_row = static_cast<unsigned short>(height);
    ::ioctl(console_.master.get(), TIOCSWINSZ, &size);
}

void ConsoleSession::kill() noexcept {
    services_.reactor.post([self = shared_from_this()] { self->end({}); });
}

void ConsoleSession::end(const std::string& error) {
    if (std::exchange(finished_, true)) return;
    const auto self = shared_from_this();
    if (timer_ != 0) services_.reactor.cancel(std::exchange(timer_, 0));
    if (init_token_ != 0) services_.reactor.cancel(std::exchange(init_token_, 0));
    in_.reset();
    out_.reset();
    for (const auto& request : {close_data_, close_control_})
        if (*request) (*request)();
    ours_.reset();
    theirs_.reset();
    console_ = {};
    if (error.empty())
        operation_->succeed();
    else
        operation_->fail(error);
}

} // namespace lxdcore::instance
