// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "instance/manager_creation.hpp"
#include "util/rollback.hpp"

namespace lxdcore::instance {

/// A running container stands still while its files are copied one after the other.
class Standstill {
public:
    Standstill(const CgroupLayout& layout, const std::optional<Running>& running) {
        if (!running || running->frozen) return;
        cgroup_.emplace(layout, running->cgroup);
        cgroup_->freeze(true);
    }
    ~Standstill() {
        if (!cgroup_) return;
        try {
            cgroup_->freeze(false);
        } catch (const Error&) { // it has ended
        }
    }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;

private:
    std::optional<Cgroup> cgroup_;
};

/// A file of a volume that is to be replaced: whether it is there says which of the two a restart finds.
inline constexpr const char* kOldMark = ".replaced";

} // namespace lxdcore::instance
