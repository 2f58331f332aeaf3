// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "helper/guest_process.hpp"

namespace lxdcore::helper {

/// A process of a guest that waits in a system call: what the kernel would look at when it carries the call out. All of
/// it is read in the constructor, in the host's terms. Thread-bound.
class CallingProcess {
public:
    explicit CallingProcess(const GuestProcess& process); ///< @throws Error

    bool has(int capability) const noexcept { return (effective_ >> capability & 1) != 0; }
    mode_t umask() const noexcept { return umask_; }

    /// Runs @p work in a child that has taken the process' place: its namespaces, root and working directory, ids and
    /// capabilities. @p work gets the place for a descriptor that both share, and gives an errno or 0.
    struct Result {
        int error = 0;
        UniqueFd fd;
    };
    Result in_its_place(const std::function<int(int& fd)>& work) const;
    /// What it has open under this number, O_PATH; its working directory for AT_FDCWD.
    UniqueFd directory(int number) const;
    /// From now on files are made as if it made them, with our capabilities. @throws Error
    void lend_ids() const;
    int process_fd() const noexcept { return process_.pidfd(); }

private:
    struct Ids {
        std::uint32_t user, group;
        std::vector<gid_t> groups;
    };
    int take_place() const;

    const GuestProcess& process_;
    Ids outside_{}; ///< fsuid, fsgid, groups as the host sees them
    Ids inside_{};  ///< and in its own user namespace
    std::uint64_t effective_ = 0;
    mode_t umask_ = 022;
    UniqueFd root_;
};

} // namespace lxdcore::helper
