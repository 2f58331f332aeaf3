// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/limits.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <optional>
#include <string>

#include <unistd.h>

#include "util/unique_fd.hpp"

namespace lxdcore::instance {

/// The process that waits for the answer to a call. Strings and structures are read from its memory. Thread-bound.
class CallerMemory {
public:
    /// @p listener is borrowed.
    CallerMemory(const seccomp_notif& call, int listener);

    /// Whether it still waits, so that everything opened and read before was its own.
    bool waits() const;
    int pidfd() const noexcept { return pidfd_.get(); }
    /// Whether it is in the user namespace of the guest itself: who has made one of his own has power over that only.
    bool in_users_of(int init_pid) const;
    bool has(int capability) const;

    /// At most @p limit bytes with the NUL; nothing when the address is bad or no NUL comes.
    std::optional<std::string> text(std::uint64_t address, std::size_t limit = PATH_MAX) const;
    bool read(std::uint64_t address, void* data, std::size_t size) const;
    template <typename T>
    std::optional<T> object(std::uint64_t address) const {
        T out{};
        return read(address, &out, sizeof out) ? std::optional<T>{out} : std::nullopt;
    }
    /// What it has open under @p number; empty when it has nothing there.
    UniqueFd descriptor(int number) const;

private:
    std::string status_line(const char* key) const;
    const seccomp_notif& call_;
    int listener_;
    UniqueFd pidfd_, memory_;
};

} // namespace lxdcore::instance
