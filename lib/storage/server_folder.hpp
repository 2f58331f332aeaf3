// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "storage/volume_mounts.hpp"

namespace lxdcore::storage {

/// A directory of the server's own, "images" or "backups", wherever it lies: in the state directory or on a custom
/// volume. Thread-safe.
class ServerFolder {
public:
    using Open = std::function<MountedDir()>;
    /// @p open finds it; asked when it is first needed, and again after a failure and after each move.
    explicit ServerFolder(Open open) : open_{std::move(open)} {}
    /// One that is always in the state directory.
    ServerFolder(const Dir& state_dir, const std::string& name);

    /// Stays where it is as long as somebody has it. @throws Error Unavailable while its pool is away
    std::shared_ptr<const Dir> use() const;
    /// Runs @p move while nobody has it. @throws Error BadState when it is in use for longer than @p patience
    void move(const std::function<void()>& move, std::chrono::seconds patience = std::chrono::seconds{30});

private:
    Open open_;
    mutable std::mutex mutex_;
    mutable std::condition_variable free_;
    mutable unsigned users_ = 0;
    mutable std::shared_ptr<const MountedDir> place_; ///< null: not open
};

} // namespace lxdcore::storage
