// SPDX-License-Identifier: Apache-2.0
#include "helper/guest_root.hpp"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lxdcore::helper {

std::string reason_of(int err) {
    std::string reason = ::strerror(err);
    if (!reason.empty()) reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
    return reason;
}

void throw_file_error(const char* step, std::string_view path, int err) {
    if (err == ENOENT) throw Error{ErrorCode::NotFound, "Not Found"};
    if (err == EACCES || err == EPERM) throw Error{ErrorCode::Forbidden, "Forbidden"};
    const auto reason = reason_of(err);
    const bool full = err == ENOSPC || err == EDQUOT;
    throw Error{full ? ErrorCode::NoSpace : ErrorCode::Internal,
                "sftp: \"" + std::string{step} + " " + std::string{path} + ": " + reason + "\" (SSH_FX_FAILURE)"};
}

UniqueFd GuestRoot::try_open(const std::string& path, int flags, mode_t mode) const noexcept {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
    how.mode = mode;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    int fd;
    // EAGAIN: something was renamed or mounted while the kernel looked; it asks to try again.
    for (int tries = 0; tries < 128; ++tries) {
        fd = static_cast<int>(::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how));
        if (fd >= 0 || errno != EAGAIN) break;
    }
    return UniqueFd{fd};
}

GuestRoot::Entry GuestRoot::try_entry(const std::string& path) const {
    std::string trimmed = path;
    while (!trimmed.empty() && trimmed.back() == '/')
        trimmed.pop_back();
    const auto slash = trimmed.rfind('/');
    Entry entry;
    entry.name = trimmed.substr(slash == std::string::npos ? 0 : slash + 1);
    const auto parent = slash == std::string::npos ? std::string{"/"} : trimmed.substr(0, slash + 1);
    if (entry.name.empty() || entry.name == "." || entry.name == "..") {
        // No name of its own: the directory itself, found by the kernel within the root.
        entry.name = ".";
        entry.parent = try_open(trimmed.empty() ? "/" : trimmed, O_PATH | O_DIRECTORY);
    } else {
        entry.parent = try_open(parent, O_PATH | O_DIRECTORY);
    }
    return entry;
}

GuestRoot::Entry GuestRoot::entry(const char* step, const std::string& path) const {
    auto entry = try_entry(path);
    if (!entry.parent) throw_file_error(step, path, errno);
    return entry;
}

UniqueFd GuestRoot::reopen(int path_fd, int flags) const noexcept {
    return UniqueFd{::openat(proc_fds_.get(), std::to_string(path_fd).c_str(), flags | O_CLOEXEC)};
}

bool GuestRoot::set_mode(int path_fd, mode_t mode) const noexcept {
    return ::fchmodat(proc_fds_.get(), std::to_string(path_fd).c_str(), mode, 0) == 0;
}

bool GuestRoot::set_times(int path_fd, const timespec (&times)[2]) const noexcept {
    return ::utimensat(proc_fds_.get(), std::to_string(path_fd).c_str(), times, 0) == 0;
}

} // namespace lxdcore::helper
