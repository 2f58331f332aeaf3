// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore::helper {

/// What an error number means, as Go says it.
std::string reason_of(int err);

/// Throws the Error of a failed step on a guest's file with the code and text that clients of LXD see.
[[noreturn]] void throw_file_error(const char* step, std::string_view path, int err);

/// The root directory of an instance. Every path is resolved inside of it by the kernel; magic links are refused.
/// Thread-bound.
class GuestRoot {
public:
    /// @p proc_fds: the host's /proc/self/fd, opened by this very process before it entered a guest.
    GuestRoot(UniqueFd root, UniqueFd proc_fds) : root_{std::move(root)}, proc_fds_{std::move(proc_fds)} {}

    /// @returns an empty descriptor with errno set on failure
    UniqueFd try_open(const std::string& path, int flags, mode_t mode = 0) const noexcept;
    /// The directory that holds the last part of a path, and that part.
    struct Entry {
        UniqueFd parent;
        std::string name; ///< "." for the root itself
    };
    /// An empty parent, with errno set, when it is not there.
    Entry try_entry(const std::string& path) const;
    Entry entry(const char* step, const std::string& path) const;
    /// A descriptor to read or write what @p path_fd (O_PATH) names: that object and no other.
    UniqueFd reopen(int path_fd, int flags) const noexcept;
    /// As fchmod and futimens of what @p path_fd (O_PATH) names; errno on failure.
    bool set_mode(int path_fd, mode_t mode) const noexcept;
    bool set_times(int path_fd, const timespec (&times)[2]) const noexcept;

private:
    UniqueFd root_, proc_fds_;
};

} // namespace lxdcore::helper
