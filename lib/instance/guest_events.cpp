// SPDX-License-Identifier: Apache-2.0
#include "instance/guest_events.hpp"

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

namespace lxdcore::instance {

class GuestEvents::Subscription final : public EventSubscription {
public:
    Subscription(std::shared_ptr<State> state, std::list<Subscriber>::iterator place)
        : state_{std::move(state)}, place_{place} {}
    ~Subscription() override {
        const std::scoped_lock lock{state_->mutex};
        state_->subscribers.erase(place_);
    }

private:
    std::shared_ptr<State> state_;
    std::list<Subscriber>::iterator place_;
};

std::unique_ptr<EventSubscription> GuestEvents::subscribe(const InstanceRef& ref, std::set<std::string> types,
                                                          Receive receive) {
    const std::scoped_lock lock{state_->mutex};
    state_->subscribers.push_back({ref, std::move(types), std::move(receive)});
    return std::make_unique<Subscription>(state_, std::prev(state_->subscribers.end()));
}

void GuestEvents::publish(const InstanceRef& ref, const std::string& type, const nlohmann::json& metadata) {
    const std::scoped_lock lock{state_->mutex};
    Event event{.type = type, .project = ref.project, .owner = {}, .json = nullptr};
    for (const auto& subscriber : state_->subscribers) {
        if (subscriber.ref != ref || !subscriber.types.contains(type)) continue;
        if (!event.json)
            event.json = std::make_shared<const std::string>(
                api::encode_json({{"type", type}, {"timestamp", api::Time::now().str()}, {"metadata", metadata}}) +
                "\n");
        subscriber.receive(event);
    }
}

void GuestEvents::config_changed(const InstanceRef& ref, const api::StringMap& before, const api::StringMap& after) {
    const auto value = [](const api::StringMap& config, const std::string& key) {
        const auto it = config.find(key);
        return it == config.end() ? std::string{} : it->second;
    };
    auto both = before;
    both.insert(after.begin(), after.end());
    for (const auto& [key, ignored] : both) {
        if (!key.starts_with("user.")) continue;
        const auto was = value(before, key), is = value(after, key);
        if (was != is) publish(ref, "config", {{"key", key}, {"old_value", was}, {"value", is}});
    }
}

void GuestEvents::devices_changed(const InstanceRef& ref, const api::Devices& before, const api::Devices& after) {
    const auto tell = [&](const char* action, const auto& device) {
        publish(ref, "device", {{"action", action}, {"name", device.first}, {"config", device.second}});
    };
    const auto same = [](const api::Devices& other, const auto& device) {
        const auto it = other.find(device.first);
        return it != other.end() && it->second == device.second;
    };
    for (const auto& device : before)
        if (!same(after, device)) tell("removed", device);
    for (const auto& device : after)
        if (!same(before, device)) tell("added", device);
}

void GuestEvents::end(const InstanceRef& ref) {
    const std::scoped_lock lock{state_->mutex};
    for (const auto& subscriber : state_->subscribers)
        if (subscriber.ref == ref) subscriber.receive({});
}

} // namespace lxdcore::instance
