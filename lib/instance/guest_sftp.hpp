// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "instance/guest_files.hpp"
#include "util/locked.hpp"

namespace lxdcore::instance {

/// One SFTP session: a helper that has the files of the instance open, and our end of the socket it serves. Ends with
/// its last owner. Thread-safe.
class SftpSession {
public:
    /// Returns when the helper is ready. @throws Error when the instance's files cannot be opened
    SftpSession(const HelperProgram& helper, InstanceRef ref, const FileTarget& target);
    ~SftpSession() { kill(); }
    SftpSession(const SftpSession&) = delete;
    SftpSession& operator=(const SftpSession&) = delete;
    void kill() noexcept; ///< returns when the helper has ended, or has not for a second
    const InstanceRef& ref() const noexcept { return ref_; }
    const int& fd() const noexcept { return fd_; }

private:
    const InstanceRef ref_;
    UniqueFd socket_;
    int fd_ = -1;
    Locked<std::optional<HelperProgram::Running>> running_; ///< until it is reaped
};

} // namespace lxdcore::instance
