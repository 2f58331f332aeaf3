// SPDX-License-Identifier: Apache-2.0
#include "instance/intercept/caller_memory.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <fstream>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lxdcore::instance {

CallerMemory::CallerMemory(const seccomp_notif& call, int listener) : call_{call}, listener_{listener} {
    // The kernel names the thread that calls; a pidfd wants the first one of its process.
    const auto leader = text::parse_int(status_line("Tgid:")).value_or(-1);
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(leader), 0)));
    memory_.reset(::open(fmt::format("/proc/{}/mem", call.pid).c_str(), O_RDONLY | O_CLOEXEC));
}

std::string CallerMemory::status_line(const char* key) const {
    std::ifstream status{fmt::format("/proc/{}/status", call_.pid)};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(key)) return text::trim(line.substr(std::string_view{key}.size()));
    return {};
}

bool CallerMemory::waits() const {
    auto id = call_.id;
    return pidfd_ && memory_ && ::ioctl(listener_, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool CallerMemory::in_users_of(int init_pid) const {
    struct stat own {
    }, guest{};
    return ::stat(fmt::format("/proc/{}/ns/user", call_.pid).c_str(), &own) == 0 &&
           ::stat(fmt::format("/proc/{}/ns/user", init_pid).c_str(), &guest) == 0 && own.st_ino == guest.st_ino &&
           own.st_dev == guest.st_dev;
}

bool CallerMemory::has(int capability) const {
    const auto set = status_line("CapEff:");
    return !set.empty() && (std::stoull(set, nullptr, 16) >> capability & 1) != 0;
}

std::optional<std::string> CallerMemory::text(std::uint64_t address, std::size_t limit) const {
    std::string out;
    constexpr std::size_t kPage = 4096;
    while (out.size() < limit) { // page by page: the next one need not be there
        std::array<char, kPage> block;
        const auto at = address + out.size();
        const auto want = std::min(kPage - at % kPage, limit - out.size());
        const auto n = ::pread(memory_.get(), block.data(), want, static_cast<off_t>(at));
        if (n <= 0) return std::nullopt;
        const char* const end = std::find(block.data(), block.data() + n, '\0');
        out.append(block.data(), static_cast<std::size_t>(end - block.data()));
        if (end != block.data() + n) return out;
    }
    return std::nullopt;
}

bool CallerMemory::read(std::uint64_t address, void* data, std::size_t size) const {
    return ::pread(memory_.get(), data, size, static_cast<off_t>(address)) == static_cast<ssize_t>(size);
}

UniqueFd CallerMemory::descriptor(int number) const {
    return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd_.get(), number, 0))};
}

} // namespace lxdcore::instance
