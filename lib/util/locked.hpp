// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <utility>

namespace lxdcore {

/// Data that cannot be touched without its lock. Thread-safe.
template <typename T>
class Locked {
public:
    template <typename... Args>
    explicit Locked(Args&&... args) : value_{std::forward<Args>(args)...} {}
    class Guard {
    public:
        Guard(std::mutex& mutex, T& value) : lock_{mutex}, value_{&value} {}
        T* operator->() const noexcept { return value_; }
        T& operator*() const& noexcept { return *value_; }
        /// Of a lock that nobody keeps: a copy, which cannot be changed by mistake. A reference would outlive the lock.
        const T operator*() && { return *value_; } // NOLINT(readability-const-return-type)
        std::unique_lock<std::mutex>& lock() noexcept { return lock_; }

    private:
        std::unique_lock<std::mutex> lock_;
        T* value_;
    };
    Guard lock() { return Guard{mutex_, value_}; }
    Guard lock() const { return Guard{mutex_, const_cast<T&>(value_)}; }

private:
    mutable std::mutex mutex_;
    T value_;
};

} // namespace lxdcore
