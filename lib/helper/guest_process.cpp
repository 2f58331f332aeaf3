// SPDX-License-Identifier: Apache-2.0
#include "helper/guest_process.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

namespace {

/// The number after @p key at the start of a line of /proc text.
std::uint64_t field(std::string_view text, std::string_view key, int base) {
    const auto at = text.find(key);
    if (at == std::string_view::npos) throw Error{ErrorCode::Internal, "no " + std::string{key} + " in /proc"};
    text.remove_prefix(at + key.size());
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    std::uint64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (result.ec != std::errc{}) throw Error{ErrorCode::BadState, "Instance is not running"};
    return value;
}

constexpr struct {
    int flag;
    const char* name;
} kNamespaces[] = {
    {CLONE_NEWUSER, "ns/user"}, {CLONE_NEWNS, "ns/mnt"},  {CLONE_NEWPID, "ns/pid"},       {CLONE_NEWNET, "ns/net"},
    {CLONE_NEWIPC, "ns/ipc"},   {CLONE_NEWUTS, "ns/uts"}, {CLONE_NEWCGROUP, "ns/cgroup"},
};

} // namespace

std::string read_small(int dir, const char* name) {
    const UniqueFd fd{::openat(dir, name, O_RDONLY | O_CLOEXEC)};
    if (!fd) return {};
    std::string text(65536, '\0');
    ssize_t n;
    do
        n = ::read(fd.get(), text.data(), text.size());
    while (n < 0 && errno == EINTR);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
}

GuestProcess::GuestProcess(int pidfd) : pidfd_{pidfd} {
    const auto info = read_small(AT_FDCWD, ("/proc/self/fdinfo/" + std::to_string(pidfd)).c_str());
    // "Pid:\t-1" for a process that has ended and was reaped: not a number of ours.
    const auto pid = field(info, "Pid:", 10);
    proc_.reset(::open(("/proc/" + std::to_string(pid)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!proc_) throw Error{ErrorCode::BadState, "Instance is not running"};
    require_alive(); // it lives, so the directory opened above is its own
    const auto status = read("status");
    bounding_ = field(status, "CapBnd:", 16);
    no_new_privs_ = field(status, "NoNewPrivs:", 10) != 0;
}

void GuestProcess::require_alive() const {
    if (::syscall(SYS_pidfd_send_signal, pidfd_, 0, nullptr, 0) != 0)
        throw Error{ErrorCode::BadState, "Instance is not running"};
}

int GuestProcess::foreign_namespaces(int wanted) const {
    const UniqueFd self{::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    int flags = 0;
    for (const auto& [flag, name] : kNamespaces) {
        if ((wanted & flag) == 0) continue;
        struct stat ours {
        }, theirs{};
        if (::fstatat(proc_.get(), name, &theirs, 0) != 0) throw Error{ErrorCode::BadState, "Instance is not running"};
        if (::fstatat(self.get(), name, &ours, 0) != 0) throw_errno("/proc/self/ns");
        if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) flags |= flag;
    }
    return flags;
}

std::string GuestProcess::read(const char* name) const { return read_small(proc_.get(), name); }

} // namespace lxdcore::helper
