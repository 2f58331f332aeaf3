// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "storage/storage_driver.hpp"

namespace lxdcore::storage {

/// Volumes that were staged together and take their names one after the other; those that have not yet go with this.
/// Thread-bound.
class StagedVolumes {
public:
    StagedVolumes(StorageDriver& driver, std::vector<Staged> staged) : driver_{driver}, staged_{std::move(staged)} {}
    StagedVolumes(const StagedVolumes&) = delete;
    StagedVolumes& operator=(const StagedVolumes&) = delete;
    ~StagedVolumes() {
        for (; next_ < staged_.size(); ++next_)
            driver_.discard(staged_[next_]);
    }
    void publish_next() {
        driver_.publish(staged_.at(next_));
        ++next_;
    }
    /// The last is its taker's to publish or discard.
    Staged take_last() { return std::move(staged_.at(next_++)); }

private:
    StorageDriver& driver_;
    std::vector<Staged> staged_;
    std::size_t next_ = 0;
};

} // namespace lxdcore::storage
