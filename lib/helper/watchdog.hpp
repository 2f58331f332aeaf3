// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>

namespace lxdcore::helper {

class Reply;

/// Runs @p work in a child and ends with it, but waits no longer than @p patience without a beat: a file system of the
/// guest (FUSE) can hold its caller for ever, even against SIGKILL. Then the reply is an error, the child is killed and
/// left to the kernel. Work that waits for the daemon's side must call pause() first.
class Watchdog {
public:
    explicit Watchdog(std::chrono::seconds patience);
    void beat() noexcept;  ///< the guest answered; also ends a pause
    void pause() noexcept; ///< what comes next is not the guest's to delay
    /// @p work answers through @p reply, or throws. Returns in the parent only.
    void guard(Reply& reply, const std::function<void(Watchdog&)>& work);

private:
    struct Shared;
    Shared* shared_;
    std::chrono::seconds patience_;
};

} // namespace lxdcore::helper
