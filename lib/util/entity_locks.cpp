// SPDX-License-Identifier: Apache-2.0
#include "util/entity_locks.hpp"

#include <condition_variable>
#include <mutex>
#include <unordered_set>

namespace lxdcore {

struct EntityLocks::Impl {
    std::mutex mutex;
    std::condition_variable released;
    std::unordered_set<std::string> held;

    /// Releases when its last copy goes; keeps the table alive, so that a guard may outlive the EntityLocks.
    static Guard guard(const std::shared_ptr<Impl>& self, const std::string& key) {
        return Guard{std::shared_ptr<void>{nullptr, [self, key](void*) {
                                               {
                                                   const std::lock_guard lock{self->mutex};
                                                   self->held.erase(key);
                                               }
                                               self->released.notify_all();
                                           }}};
    }
};

EntityLocks::EntityLocks() : impl_{std::make_shared<Impl>()} {}
EntityLocks::~EntityLocks() = default;

EntityLocks::Guard EntityLocks::lock(const std::string& key) {
    std::unique_lock lock{impl_->mutex};
    impl_->released.wait(lock, [&] { return !impl_->held.contains(key); });
    impl_->held.insert(key);
    lock.unlock();
    return Impl::guard(impl_, key);
}

bool EntityLocks::try_lock(const std::string& key, Guard& guard) {
    {
        const std::lock_guard lock{impl_->mutex};
        if (!impl_->held.insert(key).second) return false;
    }
    guard = Impl::guard(impl_, key);
    return true;
}

} // namespace lxdcore
