// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "instance/guest.hpp"
#include "instance/guest_relay.hpp"

namespace lxdcore::instance {

/// The request of the helper's verb exec.
nlohmann::json exec_request(const RunningGuest& guest, const api::InstanceExecPost& request);
/// The environment of a command: the instance's environment.*, the request's on top, LXD's defaults below.
api::StringMap exec_environment(const api::StringMap& expanded_config, const api::InstanceExecPost& request);
/// Where a command starts: as asked, else its home.
std::string exec_directory(const api::StringMap& environment, const api::InstanceExecPost& request);
std::string instance_url(const InstanceRef& ref, const std::string& rest = "");

/// One command in a guest, from its operation to its end. After create() it lives on the reactor's thread and keeps
/// itself alive until the command has ended.
class ExecSession : public std::enable_shared_from_this<ExecSession> {
public:
    ExecSession(const GuestAccess::Services& services, RunningGuest guest, api::InstanceExecPost request);
    /// Websocket channels, recorded output or nothing, as the request says.
    OperationPtr create();
    OperationPtr create(const InstanceService::ExecStreams& streams);
    void kill() noexcept; ///< any thread
    const InstanceRef& ref() const noexcept { return guest_.ref; }

private:
    struct Started {
        HelperProgram::Running running;
        UniqueFd control;
    };
    void make_operation(OperationClass klass);
    void add_channels();
    void add_input_channel();
    void add_output_channel(const std::string& name, int number);
    void add_terminal_channel();
    void add_control_channel();
    void record_output();
    void connected(const std::string& name);
    void launch();
    void adopt(Started started);
    std::function<void()> drained();
    void on_reply();
    void on_line(const std::string& line);
    void on_control();
    void on_message(const nlohmann::json& message);
    void resize(int width, int height);
    void send_signal(int signal);
    void command_ended(int code);
    void finish_when_drained();
    bool delivered() const;
    void finish();
    void fail(const std::string& text);
    void release();
    void cancel(Reactor::Token& token);

    const GuestAccess::Services services_;
    const RunningGuest guest_;
    const api::InstanceExecPost request_;
    std::shared_ptr<OperationHandle> operation_;
    UniqueFd stdin_, stdout_, stderr_;            ///< the command's ends, until it is started
    std::map<std::string, UniqueFd> channel_fds_; ///< the clients' ends
    std::map<std::string, UniqueFd> sockets_;     ///< our ends of them, until a relay takes them
    std::map<std::string, UniqueFd> pipes_;       ///< our ends of the command's output, until a relay takes them
    std::map<std::string, std::unique_ptr<Relay>> relays_;
    std::map<std::string, std::shared_ptr<std::function<void()>>> close_requests_;
    std::set<std::string> awaited_, open_;   ///< channels to be connected; connected and not gone
    std::map<std::string, std::string> fds_; ///< the channels' secrets
    nlohmann::json result_ = nlohmann::json::object();
    std::string failure_;
    UniqueFd terminal_, control_;
    std::optional<HelperProgram::Running> running_;
    std::string reply_;
    Reactor::Token reply_token_ = 0, control_token_ = 0, timer_ = 0;
    bool launched_ = false, ended_ = false, finished_ = false, killed_ = false;
};

} // namespace lxdcore::instance
