// SPDX-License-Identifier: Apache-2.0
#include "instance/guest_sftp.hpp"

#include <csignal>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kEndTime{1};

} // namespace

SftpSession::SftpSession(const HelperProgram& helper, InstanceRef ref, const FileTarget& target)
    : ref_{std::move(ref)} {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
    socket_.reset(fds[0]);
    fd_ = fds[0];
    const UniqueFd theirs{fds[1]};
    auto running = running_.lock();
    running->emplace(helper.start("sftp", target_request(target), {{target_fd(target), 5}, {theirs.get(), 6}}));
    (void)first_reply((*running)->reply.get());
}

void SftpSession::kill() noexcept {
    ::shutdown(socket_.get(), SHUT_RDWR);
    const auto running = running_.lock();
    if (!running->has_value()) return;
    (*running)->process.kill(SIGKILL);
    try {
        if ((*running)->process.wait_for(kEndTime)) running->reset();
    } catch (const Error&) { // its owner reaps it
    }
}

} // namespace lxdcore::instance
