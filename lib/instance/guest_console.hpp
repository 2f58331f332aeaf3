// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>

#include "instance/guest.hpp"
#include "instance/guest_relay.hpp"
#include "instance/lxc/lxc_console.hpp"

namespace lxdcore::instance {

/// One attached console: channels "0" and "control". Lives on the reactor's thread after create().
class ConsoleSession : public std::enable_shared_from_this<ConsoleSession> {
public:
    ConsoleSession(const GuestAccess::Services& services, RunningGuest guest)
        : services_{services}, guest_{std::move(guest)} {}
    OperationPtr create(int width, int height);
    void kill() noexcept; ///< any thread
    const InstanceRef& ref() const noexcept { return guest_.ref; }

private:
    void add_channels();
    void attach();
    void on_message(const nlohmann::json& message);
    void resize(int width, int height);
    void end(const std::string& error);
    std::function<void()> posted(void (ConsoleSession::*step)());
    void refuse();
    void detached() { end(console_.master ? "" : kRefused); }

    /// LXD's text for a reader that was told that another one has the console.
    static constexpr const char* kRefused = "write /dev/pts/ptmx: file already closed";

    const GuestAccess::Services services_;
    const RunningGuest guest_;
    std::shared_ptr<OperationHandle> operation_;
    LxcConsole console_;
    UniqueFd ours_, theirs_;
    std::unique_ptr<Relay> in_, out_;
    std::shared_ptr<std::function<void()>> close_data_, close_control_;
    Reactor::Token timer_ = 0, init_token_ = 0;
    int width_ = 0, height_ = 0;
    bool finished_ = false, attached_ = false;
};

} // namespace lxdcore::instance
