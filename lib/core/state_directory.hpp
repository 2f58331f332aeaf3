// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "util/dir.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore {

/// $LXD_DIR: owned by one process at a time, laid out and protected as R37 asks. Thread-bound.
class StateDirectory {
public:
    /// Makes what is missing, takes the lock, sets modes again. @throws Error BadState naming the pid of the owner
    explicit StateDirectory(const std::filesystem::path& path);
    const Dir& dir() const noexcept { return dir_; }
    /// Refuses to begin with an empty database while there are instances on disk (D13). @throws Error Internal
    void require_database_or_no_instances() const;

private:
    void lock();
    void lay_out() const;

    Dir dir_;
    UniqueFd lock_;
};

} // namespace lxdcore
