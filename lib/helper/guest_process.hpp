// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "util/unique_fd.hpp"

namespace lxdcore::helper {

/// The init of a running guest, held by pidfd: its number is never trusted alone. Everything is read from the host's
/// /proc before the guest is entered. Thread-bound.
class GuestProcess {
public:
    /// @p pidfd is borrowed. @throws Error BadState "Instance is not running" when the process has ended
    explicit GuestProcess(int pidfd);

    int pidfd() const noexcept { return pidfd_; }
    int proc() const noexcept { return proc_.get(); } ///< its directory in the host's /proc, O_PATH
    /// Flags for setns(pidfd): the namespaces of @p wanted (CLONE_NEW…) that are not our own.
    int foreign_namespaces(int wanted) const;
    std::uint64_t bounding_set() const noexcept { return bounding_; }
    bool no_new_privs() const noexcept { return no_new_privs_; }
    /// A small file of its /proc directory; empty when it is not there.
    std::string read(const char* name) const;

private:
    void require_alive() const;
    int pidfd_;
    UniqueFd proc_;
    std::uint64_t bounding_ = 0;
    bool no_new_privs_ = false;
};

/// A small file, at most 64 KiB; empty when it cannot be read.
std::string read_small(int dir, const char* name);

} // namespace lxdcore::helper
