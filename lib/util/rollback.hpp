// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace lxdcore {

/// Undo steps, run in reverse order on destruction unless commit() was called. A step that throws is skipped.
/// Thread-bound. A step holds by value what was declared after this: by then that is gone.
class Rollback {
public:
    Rollback() = default;
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    ~Rollback() { run(); }
    void add(std::function<void()> undo) { steps_.push_back(std::move(undo)); }
    void commit() noexcept { steps_.clear(); }

private:
    void run() noexcept {
        for (auto it = steps_.rbegin(); it != steps_.rend(); ++it) {
            try {
                (*it)();
            } catch (...) { // the next start's reconciler removes what an undo step could not
            }
        }
        steps_.clear();
    }
    std::vector<std::function<void()>> steps_;
};

} // namespace lxdcore
