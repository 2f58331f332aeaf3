// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

namespace lxdcore {

/// Named locks, one per entity ("instances/default/c1"). Order where several are needed: pool, network, image,
/// instance; within a kind by name. Never held while waiting for a client. Thread-safe.
class EntityLocks {
public:
    class Guard {
    public:
        Guard() = default;
        explicit Guard(std::shared_ptr<void> held) : held_{std::move(held)} {}

    private:
        std::shared_ptr<void> held_;
    };
    EntityLocks();
    ~EntityLocks();
    Guard lock(const std::string& key); ///< waits
    bool try_lock(const std::string& key, Guard& guard);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace lxdcore
