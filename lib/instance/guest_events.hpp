// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/event.hpp>
#include <lxdcore/service/instance_service.hpp>

namespace lxdcore::instance {

/// What guests are told about themselves. Thread-safe; a subscriber's function must only queue.
class GuestEvents {
public:
    using Receive = std::function<void(const Event&)>;
    std::unique_ptr<EventSubscription> subscribe(const InstanceRef& ref, std::set<std::string> types, Receive receive);
    void publish(const InstanceRef& ref, const std::string& type, const nlohmann::json& metadata);
    void config_changed(const InstanceRef& ref, const api::StringMap& before, const api::StringMap& after);
    /// Whether a device was changed in place, and not taken out and put in again: name, before, after.
    using InPlace = std::function<bool(const std::string&, const api::Device&, const api::Device&)>;
    void devices_changed(const InstanceRef& ref, const api::Devices& before, const api::Devices& after,
                         const InPlace& in_place);
    void end(const InstanceRef& ref); ///< tells the subscribers that there will be no more

private:
    struct Subscriber {
        InstanceRef ref;
        std::set<std::string> types;
        Receive receive;
    };
    struct State {
        std::mutex mutex; ///< held while functions run: none runs after its subscription has gone
        std::list<Subscriber> subscribers;
    };
    class Subscription;
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

} // namespace lxdcore::instance
