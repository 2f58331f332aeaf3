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

void GuestEvents::devices_changed(const InstanceRef& ref, const api::Devices& before, const api::Devices& after,
                                  const InPlace& in_place) {
    const auto tell = [&](const char* action, const api::Devices& devices) {
        for (const auto& [name, config] : devices)
            publish(ref, "device", {{"action", action}, {"name", name}, {"config", config}});
    };
    api::Devices removed, updated, added;
    for (const auto& device : before)
        if (!after.contains(device.first)) removed.insert(device);
    for (const auto& device : after) {
        const auto old = before.find(device.first);
        if (old != before.end() && old->second == device.second) continue;
        if (old != before.end() && in_place(device.first, old->second, device.second)) {
            updated.insert(device);
            continue;
        }
        if (old != before.end()) removed.insert(*old);
        added.insert(device);
    }
    tell("removed", removed);
    tell("updated", updated);
    tell("added", added);
}

void GuestEvents::end(const InstanceRef& ref) {
    const std::scoped_lock lock{state_->mutex};
    for (const auto& subscriber : state_->subscribers)
        if (subscriber.ref == ref) subscriber.receive({});
}

} // namespace lxdcore::instance
