// SPDX-License-Identifier: Apache-2.0
#include "instance/console_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include <lxdcore/error.hpp>

namespace lxdcore::instance {

namespace {

constexpr const char *kCurrent = "console.log", *kEarlier = "console.log.1";

struct File {
    UniqueFd fd;
    ino_t inode = 0; ///< 0: there is none
};

File open_log(const Dir& logs, const char* name, int flags) {
    try {
        File out{.fd = logs.open_file(name, flags | O_CLOEXEC)};
        struct stat info {};
        if (::fstat(out.fd.get(), &info) != 0) throw_errno(name);
        out.inode = info.st_ino;
        return out;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::NotFound) throw;
        return {};
    }
}

/// The last kConsoleLog bytes of a file.
std::string tail(const File& file) {
    struct stat info {};
    if (!file.fd || ::fstat(file.fd.get(), &info) != 0) return {};
    constexpr auto kLimit = static_cast<off_t>(kConsoleLog);
    off_t at = info.st_size > kLimit ? info.st_size - kLimit : 0;
    std::string out(kConsoleLog, '\0');
    std::size_t got = 0;
    while (got < out.size()) {
        const auto n = ::pread(file.fd.get(), out.data() + got, out.size() - got, at + static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno(kCurrent);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    out.resize(got);
    return out;
}

} // namespace

std::string read_console_log(const Dir& logs) {
    constexpr int kTries = 100;
    std::string text;
    for (int i = 0; i < kTries; ++i) {
        const auto current = open_log(logs, kCurrent, O_RDONLY);
        const auto earlier = open_log(logs, kEarlier, O_RDONLY);
        text = tail(earlier) + tail(current);
        // Unless one has taken the place of the other meanwhile. What is open keeps its number.
        if (open_log(logs, kEarlier, O_RDONLY).inode == earlier.inode &&
            open_log(logs, kCurrent, O_RDONLY).inode == current.inode)
            break;
    }
    return text.size() > kConsoleLog ? text.substr(text.size() - kConsoleLog) : text;
}

void reset_console_log(const Dir& logs) {
    // The earlier one first: nothing is written to it any more.
    logs.remove(kEarlier);
    // liblxc keeps the file open: it must be emptied, not replaced.
    const auto current = open_log(logs, kCurrent, O_WRONLY);
    if (current.fd && ::ftruncate(current.fd.get(), 0) != 0) throw_errno(kCurrent);
}

} // namespace lxdcore::instance
