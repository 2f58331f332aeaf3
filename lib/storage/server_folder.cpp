// SPDX-License-Identifier: Apache-2.0
#include "storage/server_folder.hpp"

#include <utility>

#include <lxdcore/error.hpp>

namespace lxdcore::storage {

ServerFolder::ServerFolder(const Dir& state_dir, const std::string& name)
    : ServerFolder{[&state_dir, name] {
          return MountedDir{nullptr, state_dir.make_dir(name, 0700)};
      }} {}

std::shared_ptr<const Dir> ServerFolder::use() const {
    const std::lock_guard lock{mutex_}; // a move holds it: those who come meanwhile wait
    if (!place_) place_ = std::make_shared<const MountedDir>(open_());
    std::shared_ptr<const Dir> used{&place_->dir, [this, place = place_](const Dir*) {
                                        const std::lock_guard again{mutex_};
                                        if (--users_ == 0) free_.notify_all();
                                    }};
    ++users_;
    return used;
}

void ServerFolder::move(const std::function<void()>& move, std::chrono::seconds patience) {
    std::unique_lock lock{mutex_};
    if (!free_.wait_for(lock, patience, [this] { return users_ == 0; }))
        throw Error{ErrorCode::BadState, "What is to be moved is in use"};
    place_.reset(); // and what it was mounted with
    move();
}

} // namespace lxdcore::storage
