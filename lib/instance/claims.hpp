// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <lxdcore/service/instance_service.hpp>

namespace lxdcore::instance {

/// Who changes an instance right now: one claim at a time, with the name of what it does. Unlike a lock, a second
/// change of state fails at once with LXD's text, because the first may wait for the guest. Thread-safe.
class Claims {
public:
    class Claim {
    public:
        Claim() = default;
        explicit Claim(std::shared_ptr<void> held) : held_{std::move(held)} {}
        void release() { held_.reset(); }
        explicit operator bool() const noexcept { return held_ != nullptr; }

    private:
        std::shared_ptr<void> held_;
    };
    Claims();
    ~Claims();
    /// @throws Error BadState 'Instance is busy running a "stop" operation'
    Claim take(const InstanceRef& ref, const std::string& action);
    /// Waits for its turn. @throws as take() after @p patience
    Claim wait(const InstanceRef& ref, const std::string& action, std::chrono::milliseconds patience);
    /// For who only reads the volume (a copy of it): many at once, and beside most actions. Those that take the content
    /// away ("delete", "rename", "restore", "refresh", "move") fail meanwhile as if it were a claim.
    /// @throws as wait(), when one of these is under way
    Claim share(const InstanceRef& ref, const std::string& action, std::chrono::milliseconds patience);
    /// Waits until nobody reads, for a claim's holder that changes files in place. @throws Error BadState
    void wait_unshared(const InstanceRef& ref, std::chrono::milliseconds patience) const;
    std::string holder(const InstanceRef& ref) const; ///< "" when free

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace lxdcore::instance
