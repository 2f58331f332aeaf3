// SPDX-License-Identifier: Apache-2.0
#include "event/event_hub.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

namespace lxdcore {

EventSubscription::~EventSubscription() = default;
EventService::~EventService() = default;

void EventService::lifecycle(const std::string& project, const std::string& action, const std::string& source) {
    lifecycle(project, action, source, nullptr);
}

namespace {

struct Subscriber {
    EventService::Filter filter;
    std::function<void(const Event&)> receive;
    /// Held while receive() runs; recursive, because receive() may end the subscription.
    std::recursive_mutex mutex;
    bool ended = false;

    bool wants(const Event& event) const {
        if (!filter.types.contains(event.type)) return false;
        if (!filter.project.empty() && !event.project.empty() && filter.project != event.project) return false;
        if (filter.viewer.admin) return true;
        // What the server does for itself concerns administrators only; so does its log.
        if (event.type != "lifecycle" && event.owner.empty()) return false;
        return event.owner.empty() || event.owner == filter.viewer.username;
    }
};
using Subscribers = std::vector<std::shared_ptr<Subscriber>>;

/// Replaced as a whole when it changes, so that publishing takes the lock only to copy a pointer.
struct State {
    std::mutex mutex;
    std::shared_ptr<const Subscribers> subscribers = std::make_shared<Subscribers>();
    std::atomic<std::size_t> count = 0;

    std::shared_ptr<const Subscribers> all() {
        const std::lock_guard lock{mutex};
        return subscribers;
    }
    template <typename F>
    void change(F&& edit) {
        const std::lock_guard lock{mutex};
        auto next = std::make_shared<Subscribers>(*subscribers);
        edit(*next);
        count = next->size();
        subscribers = std::move(next);
    }
};

class Subscription : public EventSubscription {
public:
    Subscription(std::shared_ptr<State> state, std::shared_ptr<Subscriber> subscriber)
        : state_{std::move(state)}, subscriber_{std::move(subscriber)} {}
    ~Subscription() override {
        state_->change([this](Subscribers& all) { std::erase(all, subscriber_); });
        const std::lock_guard lock{subscriber_->mutex}; // a receive() on another thread ends first
        subscriber_->ended = true;
    }

private:
    std::shared_ptr<State> state_;
    std::shared_ptr<Subscriber> subscriber_;
};

class EventHub : public EventService {
public:
    EventHub() = default;
    EventHub(const EventHub&) = delete;
    EventHub& operator=(const EventHub&) = delete;
    ~EventHub() override {
        for (const auto& subscriber : *state_->all())
            tell(*subscriber, {});
    }

    std::unique_ptr<EventSubscription> subscribe(Filter filter, std::function<void(const Event&)> receive) override {
        auto subscriber = std::make_shared<Subscriber>();
        subscriber->filter = std::move(filter);
        subscriber->receive = std::move(receive);
        state_->change([&](Subscribers& all) { all.push_back(subscriber); });
        return std::make_unique<Subscription>(state_, std::move(subscriber));
    }

    void lifecycle(const std::string& project, const std::string& action, const std::string& source,
                   const nlohmann::json& context) override {
        if (!wanted("lifecycle")) return;
        nlohmann::json metadata{{"action", action}, {"source", source}};
        if (!context.is_null() && !context.empty()) metadata["context"] = context;
        if (CallerScope::present()) {
            const auto& caller = CallerScope::current();
            metadata["requestor"] = {
                {"username", caller.username}, {"protocol", caller.protocol}, {"address", caller.address}};
        }
        publish({"lifecycle", project, "", nullptr}, std::move(metadata));
    }

    void operation(const std::string& project, const std::string& owner, const nlohmann::json& metadata) override {
        if (wanted("operation")) publish({"operation", project, owner, nullptr}, metadata);
    }

    void logging(const std::string& level, const std::string& message, const api::StringMap& context) override {
        if (!wanted("logging")) return;
        publish({"logging", "", "", nullptr}, {{"level", level}, {"message", message}, {"context", context}});
    }

    bool wanted(const std::string& type) const override {
        if (state_->count == 0) return false;
        const auto all = state_->all();
        return std::any_of(all->begin(), all->end(),
                           [&](const auto& subscriber) { return subscriber->filter.types.contains(type); });
    }

private:
    void publish(Event event, nlohmann::json metadata) {
        const auto all = state_->all();
        for (const auto& subscriber : *all) {
            if (!subscriber->wants(event)) continue;
            if (!event.json) event.json = encode(event, std::move(metadata)); // once, for whoever is first
            tell(*subscriber, event);
        }
    }

    static void tell(Subscriber& subscriber, const Event& event) {
        const std::lock_guard lock{subscriber.mutex};
        if (!subscriber.ended) subscriber.receive(event);
    }

    static std::shared_ptr<const std::string> encode(const Event& event, nlohmann::json metadata) {
        nlohmann::json whole{{"type", event.type},
                             {"timestamp", api::Time::now().str()},
                             {"metadata", std::move(metadata)},
                             {"location", "none"}};
        if (!event.project.empty()) whole["project"] = event.project;
        return std::make_shared<const std::string>(api::encode_json(whole));
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

} // namespace

std::unique_ptr<EventService> make_event_service() { return std::make_unique<EventHub>(); }

} // namespace lxdcore
