// SPDX-License-Identifier: Apache-2.0
#include "instance/claims.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "util/text.hpp"

namespace lxdcore::instance {

struct Claims::Impl {
    mutable std::mutex mutex;
    std::condition_variable freed;
    std::map<InstanceRef, std::string> held;
    std::multimap<InstanceRef, std::string> shared;
};

namespace {

Error busy(const std::string& action) {
    return Error{ErrorCode::BadState, "Instance is busy running a " + text::quote(action) + " operation"};
}

bool takes_content_away(const std::string& action) {
    constexpr const char* kActions[] = {"delete", "rename", "restore", "refresh", "move"};
    return std::find(std::begin(kActions), std::end(kActions), action) != std::end(kActions);
}

} // namespace

Claims::Claims() : impl_{std::make_shared<Impl>()} {}
Claims::~Claims() = default;

Claims::Claim Claims::take(const InstanceRef& ref, const std::string& action) {
    return wait(ref, action, std::chrono::milliseconds{0});
}

Claims::Claim Claims::wait(const InstanceRef& ref, const std::string& action, std::chrono::milliseconds patience) {
    std::unique_lock lock{impl_->mutex};
    const bool alone = takes_content_away(action);
    const auto free = [&] { return !impl_->held.contains(ref) && !(alone && impl_->shared.contains(ref)); };
    if (!impl_->freed.wait_for(lock, patience, free)) {
        const auto it = impl_->held.find(ref);
        throw busy(it != impl_->held.end() ? it->second : impl_->shared.find(ref)->second);
    }
    impl_->held[ref] = action;
    const auto release = [impl = impl_, ref](void*) {
        const std::scoped_lock unlock{impl->mutex};
        impl->held.erase(ref);
        impl->freed.notify_all();
    };
    return Claim{std::shared_ptr<void>{impl_.get(), release}};
}

Claims::Claim Claims::share(const InstanceRef& ref, const std::string& action, std::chrono::milliseconds patience) {
    std::unique_lock lock{impl_->mutex};
    const auto free = [&] {
        const auto it = impl_->held.find(ref);
        return it == impl_->held.end() || !takes_content_away(it->second);
    };
    if (!impl_->freed.wait_for(lock, patience, free)) throw busy(impl_->held[ref]);
    const auto entry = impl_->shared.emplace(ref, action);
    const auto release = [impl = impl_, entry](void*) {
        const std::scoped_lock unlock{impl->mutex};
        impl->shared.erase(entry);
        impl->freed.notify_all();
    };
    return Claim{std::shared_ptr<void>{impl_.get(), release}};
}

void Claims::wait_unshared(const InstanceRef& ref, std::chrono::milliseconds patience) const {
    std::unique_lock lock{impl_->mutex};
    if (!impl_->freed.wait_for(lock, patience, [&] { return !impl_->shared.contains(ref); }))
        throw busy(impl_->shared.find(ref)->second);
}

std::string Claims::holder(const InstanceRef& ref) const {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->held.find(ref);
    return it == impl_->held.end() ? std::string{} : it->second;
}

} // namespace lxdcore::instance
