// SPDX-License-Identifier: Apache-2.0
#include "http/listener.hpp"

#include <map>
#include <mutex>

namespace lxdcore::daemon {

Listener::~Listener() = default;

struct ConnectionSlots::Impl {
    std::size_t most, most_per_source;
    std::mutex mutex;
    std::size_t taken = 0;
    std::map<std::string, std::size_t> sources;
};

ConnectionSlots::ConnectionSlots(std::size_t most, std::size_t most_per_source) : impl_{std::make_shared<Impl>()} {
    impl_->most = most;
    impl_->most_per_source = most_per_source;
}

ConnectionSlots::~ConnectionSlots() = default;

std::shared_ptr<void> ConnectionSlots::take(const std::string& source) {
    const std::lock_guard lock{impl_->mutex};
    auto& used = impl_->sources[source];
    if (impl_->taken >= impl_->most || used >= impl_->most_per_source) {
        if (used == 0) impl_->sources.erase(source);
        return nullptr;
    }
    ++used;
    ++impl_->taken;
    const auto give_back = [impl = impl_, source](void*) {
        const std::lock_guard guard{impl->mutex};
        --impl->taken;
        if (const auto it = impl->sources.find(source); --it->second == 0) impl->sources.erase(it);
    };
    return {static_cast<void*>(impl_.get()), give_back};
}

std::size_t ConnectionSlots::taken() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->taken;
}

} // namespace lxdcore::daemon
