// SPDX-License-Identifier: Apache-2.0
#include "event/event_hub.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

struct Listener {
    std::vector<Event> events;
    std::unique_ptr<EventSubscription> subscription;
    Listener(EventService& hub, EventService::Filter filter = {}) {
        subscription = hub.subscribe(std::move(filter), [this](const Event& event) { events.push_back(event); });
    }
    nlohmann::json json(std::size_t i) const { return nlohmann::json::parse(*events.at(i).json); }
};

const Caller restricted{"fingerprint-a", "tls", "10.0.0.2:1234", false};

} // namespace

TEST_CASE("a lifecycle event looks like LXD's") {
    auto hub = make_event_service();
    Listener listener{*hub};
    {
        const CallerScope scope{Caller{"root", "unix", "@", true}};
        hub->lifecycle("default", "instance-started", "/1.0/instances/c1", {{"type", "container"}});
    }
    REQUIRE(listener.events.size() == 1);
    auto json = listener.json(0);
    CHECK(json["timestamp"].get<std::string>().back() == 'Z');
    json.erase("timestamp");
    CHECK(json == nlohmann::json::parse(R"({"type":"lifecycle","location":"none","project":"default","metadata":{
        "action":"instance-started","source":"/1.0/instances/c1","context":{"type":"container"},
        "requestor":{"username":"root","protocol":"unix","address":"@"}}})"));
}

TEST_CASE("internal work has no requestor, and no context is left out") {
    auto hub = make_event_service();
    Listener listener{*hub};
    hub->lifecycle("default", "instance-shutdown", "/1.0/instances/c1");
    CHECK(listener.json(0)["metadata"] ==
          nlohmann::json{{"action", "instance-shutdown"}, {"source", "/1.0/instances/c1"}});
}

TEST_CASE("a logging event carries no project") {
    auto hub = make_event_service();
    Listener listener{*hub};
    hub->logging("info", "hello", {});
    const auto json = listener.json(0);
    CHECK_FALSE(json.contains("project"));
    CHECK(json["metadata"] == nlohmann::json::parse(R"({"level":"info","message":"hello","context":{}})"));
}

TEST_CASE("an event is encoded once for all who listen") {
    auto hub = make_event_service();
    Listener one{*hub}, two{*hub};
    hub->lifecycle("default", "a", "b");
    CHECK(one.events.at(0).json.get() == two.events.at(0).json.get());
}

TEST_CASE("type and project are filtered") {
    auto hub = make_event_service();
    Listener lifecycle{*hub, {.types = {"lifecycle"}, .project = "p1", .viewer = {}}};
    hub->lifecycle("p1", "a", "b");
    hub->lifecycle("p2", "a", "b");
    hub->operation("p1", "", {{"id", "x"}});
    hub->logging("info", "x", {});
    CHECK(lifecycle.events.size() == 1);
}

TEST_CASE("operations of others, internal ones and the log are hidden from who is no administrator") {
    auto hub = make_event_service();
    Listener listener{*hub, {.viewer = restricted}};
    Listener admin{*hub};
    hub->operation("default", "fingerprint-b", {{"id", "other"}});
    hub->operation("default", "", {{"id", "internal"}});
    hub->logging("info", "secret", {});
    CHECK(listener.events.empty());
    hub->operation("default", "fingerprint-a", {{"id", "own"}});
    REQUIRE(listener.events.size() == 1);
    CHECK(listener.json(0)["metadata"]["id"] == "own");
    CHECK(admin.events.size() == 4);
}

TEST_CASE("wanted() is true only while somebody listens for the type") {
    auto hub = make_event_service();
    CHECK_FALSE(hub->wanted("operation"));
    {
        Listener listener{*hub, {.types = {"operation"}, .project = "", .viewer = {}}};
        CHECK(hub->wanted("operation"));
        CHECK_FALSE(hub->wanted("logging"));
    }
    CHECK_FALSE(hub->wanted("operation"));
}

TEST_CASE("nothing is received after a subscription has ended, from any thread") {
    auto hub = make_event_service();
    std::atomic<bool> stop = false;
    std::thread publisher{[&] {
        while (!stop)
            hub->lifecycle("default", "a", "b");
    }};
    int late = 0;
    for (int i = 0; i < 300; ++i) {
        auto alive = std::make_unique<std::atomic<bool>>(true);
        auto subscription = hub->subscribe({}, [&, flag = alive.get()](const Event&) {
            if (!*flag) ++late;
        });
        subscription.reset();
        *alive = false;
    }
    stop = true;
    publisher.join();
    CHECK(late == 0);
}

TEST_CASE("a listener may end its own subscription") {
    auto hub = make_event_service();
    std::unique_ptr<EventSubscription> subscription;
    int received = 0;
    subscription = hub->subscribe({}, [&](const Event&) {
        ++received;
        subscription.reset();
    });
    hub->lifecycle("default", "a", "b");
    hub->lifecycle("default", "a", "b");
    CHECK(received == 1);
}

TEST_CASE("the end of the hub is the last thing that a listener hears") {
    auto hub = make_event_service();
    std::vector<Event> heard, nothing;
    const auto subscription = hub->subscribe({}, [&](const Event& event) { heard.push_back(event); });
    hub->subscribe({}, [&](const Event& event) { nothing.push_back(event); }).reset();
    hub->lifecycle("default", "a", "b");
    hub.reset();
    REQUIRE(heard.size() == 2);
    CHECK(heard[0].json);
    CHECK_FALSE(heard[1].json);
    CHECK(nothing.empty());
}
