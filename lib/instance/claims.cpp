// SPDX-License-Identifier: Apache-2.0
#include "instance/claims.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

#include "util/text.hpp"

namespace lxdcore::instance {

struct Claims::Impl {
    mutable std::mutex mutex;
    std::condition_variable freed;
    std::map<InstanceRef, std::string> held;
};

namespace {

Error busy(const std::string& action) {
    return Error{ErrorCode::BadState, "Instance is busy running a " + text::quote(action) + " operation"};
}

} // namespace

Claims::Claims() : impl_{std::make_shared<Impl>()} {}
Claims::~Claims() = default;

Claims::Claim Claims::take(const InstanceRef& ref, const std::string& action) {
    return wait(ref, action, std::chrono::milliseconds{0});
}

Claims::Claim Claims::wait(const InstanceRef& ref, const std::string& action, std::chrono::milliseconds patience) {
    std::unique_lock lock{impl_->mutex};
    const auto free = [&] { return !impl_->held.contains(ref); };
    if (!impl_->freed.wait_for(lock, patience, free)) throw busy(impl_->held[ref]);
    impl_->held[ref] = action;
    const auto release = [impl = impl_, ref](void*) {
        const std::scoped_lock unlock{impl->mutex};
        impl->held.erase(ref);
        impl->freed.notify_all();
    };
    return Claim{std::shared_ptr<void>{impl_.get(), release}};
}

std::string Claims::holder(const InstanceRef& ref) const {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->held.find(ref);
    return it == impl_->held.end() ? std::string{} : it->second;
}

} // namespace lxdcore::instance
