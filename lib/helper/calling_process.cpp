// SPDX-License-Identifier: Apache-2.0
#include "helper/calling_process.hpp"

#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

namespace {

/// The words behind "Name:" in /proc/<pid>/status.
std::vector<std::uint64_t> numbers(const std::string& status, const char* name, int base) {
    std::istringstream lines{status};
    const auto key = std::string{name} + ":";
    for (std::string line; std::getline(lines, line);) {
        if (line.compare(0, key.size(), key) != 0) continue;
        std::istringstream words{line.substr(key.size())};
        std::vector<std::uint64_t> out;
        for (std::string word; words >> word;)
            out.push_back(std::stoull(word, nullptr, base));
        return out;
    }
    throw Error{ErrorCode::BadState, std::string{"no "} + name + " of the calling process"};
}

/// @p id of the host as a map ("inside outside count" in each line) shows it.
std::uint32_t inside(const std::string& map, std::uint64_t id) {
    std::istringstream in{map};
    for (std::uint64_t first, host, count; in >> first >> host >> count;)
        if (id >= host && id - host < count) return static_cast<std::uint32_t>(first + (id - host));
    throw Error{ErrorCode::BadState, "The calling process has ids that its namespace does not know"};
}

int set_capabilities(std::uint64_t effective, std::uint64_t permitted) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2]{};
    for (int i = 0; i < 2; ++i) {
        data[i].effective = static_cast<std::uint32_t>(effective >> (32 * i));
        data[i].permitted = static_cast<std::uint32_t>(permitted >> (32 * i));
    }
    return ::syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

std::uint64_t own_permitted() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) throw_errno("capget");
    return static_cast<std::uint64_t>(data[1].permitted) << 32 | data[0].permitted;
}

} // namespace

CallingProcess::CallingProcess(const GuestProcess& process) : process_{process} {
    const auto status = process.read("status");
    constexpr std::size_t kFilesystemId = 3; // real, effective, saved, filesystem
    outside_.user = static_cast<std::uint32_t>(numbers(status, "Uid", 10).at(kFilesystemId));
    outside_.group = static_cast<std::uint32_t>(numbers(status, "Gid", 10).at(kFilesystemId));
    const auto users = process.read("uid_map"), groups = process.read("gid_map");
    inside_.user = inside(users, outside_.user);
    inside_.group = inside(groups, outside_.group);
    for (const auto group : numbers(status, "Groups", 10)) {
        outside_.groups.push_back(static_cast<gid_t>(group));
        inside_.groups.push_back(inside(groups, group));
    }
    effective_ = numbers(status, "CapEff", 16).at(0);
    umask_ = static_cast<mode_t>(numbers(status, "Umask", 8).at(0));
    root_.reset(::openat(process.proc(), "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_) throw_errno("open root of the calling process");
}

UniqueFd CallingProcess::directory(int number) const {
    const auto name = number == AT_FDCWD ? std::string{"cwd"} : "fd/" + std::to_string(number);
    return UniqueFd{::openat(process_.proc(), name.c_str(), O_PATH | O_CLOEXEC)};
}

int CallingProcess::take_place() const {
    const auto cwd = directory(AT_FDCWD);
    if (!cwd) return errno;
    const int flags = process_.foreign_namespaces(CLONE_NEWUSER | CLONE_NEWNS);
    if (flags != 0 && ::setns(process_.pidfd(), flags) != 0) return errno;
    ::prctl(PR_SET_DUMPABLE, 0);
    if (::fchdir(root_.get()) != 0 || ::chroot(".") != 0 || ::fchdir(cwd.get()) != 0) return errno;
    ::prctl(PR_SET_KEEPCAPS, 1);
    if (::setgroups(inside_.groups.size(), inside_.groups.data()) != 0) return errno;
    if (::setresgid(inside_.group, inside_.group, inside_.group) != 0) return errno;
    if (::setresuid(inside_.user, inside_.user, inside_.user) != 0) return errno;
    ::prctl(PR_SET_DUMPABLE, 0);
    return set_capabilities(effective_, effective_);
}

CallingProcess::Result CallingProcess::in_its_place(const std::function<int(int& fd)>& work) const {
    auto* shared =
        static_cast<int*>(::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (shared == MAP_FAILED) throw_errno("mmap");
    *shared = -1;
    // The table of descriptors is shared: what the child opens is open here.
    const auto child =
        static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (child == 0) {
        int error = EIO;
        try {
            error = take_place();
            if (error == 0) error = work(*shared);
        } catch (...) { // a child must never return into the code of its parent
        }
        ::_exit(error);
    }
    Result result;
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        result.error = EIO;
    } else {
        result.error = WEXITSTATUS(status);
        result.fd.reset(*shared);
    }
    ::munmap(shared, sizeof(int));
    return result;
}

void CallingProcess::lend_ids() const {
    const auto permitted = own_permitted();
    if (::setgroups(outside_.groups.size(), outside_.groups.data()) != 0) throw_errno("setgroups");
    ::setfsgid(outside_.group);
    ::setfsuid(outside_.user);
    // The change has taken away what concerns files.
    if (const int error = set_capabilities(permitted, permitted); error != 0) throw_errno("capset", error);
}

} // namespace lxdcore::helper
