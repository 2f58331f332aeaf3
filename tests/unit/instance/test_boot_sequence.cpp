// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <lxdcore/error.hpp>

#include "instance/boot_sequence.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;
using namespace std::chrono_literals;

namespace {

/// One thread and a clock that jumps: what was posted runs when run() is called, timers when nothing else is left.
class World {
public:
    BootSequence::Host host() {
        return {.post = [this](std::function<void()> work) { posted_.push_back(std::move(work)); },
                .after = [this](std::chrono::milliseconds delay,
                                std::function<void()> call) { timers_.emplace(now_ + delay, std::move(call)); },
                .start = [this](const InstanceRef& ref) { start(ref.name); },
                .running = [this](const InstanceRef& ref) { return up.contains(ref.name); },
                .started = [](const InstanceRef&) {},
                .failed = [this](const InstanceRef& ref, const Error&,
                                 bool last) { log += "!" + ref.name + (last ? "! " : " "); },
                .done = [this](const BootSequence::Outcome& result) { outcome = result; }};
    }
    void begin(std::vector<BootSequence::Entry> entries, std::size_t parallel = 4) {
        sequence = std::make_shared<BootSequence>(std::move(entries), host(), parallel);
        sequence->run();
    }
    void run(std::vector<BootSequence::Entry> entries, std::size_t parallel = 4) {
        begin(std::move(entries), parallel);
        step();
    }
    void step(bool let_time_pass = true) {
        while (!posted_.empty() || (let_time_pass && !timers_.empty())) {
            most_posted = std::max(most_posted, posted_.size());
            if (!posted_.empty()) {
                const auto work = std::move(posted_.front());
                posted_.pop_front();
                work();
                continue;
            }
            const auto timer = timers_.extract(timers_.begin());
            log += "+" + std::to_string((timer.key() - now_) / 1s) + " ";
            now_ = timer.key();
            timer.mapped()();
        }
    }

    std::string log;
    std::set<std::string> up;
    std::map<std::string, std::deque<ErrorCode>> trouble;
    std::size_t most_posted = 0;
    std::optional<BootSequence::Outcome> outcome;
    std::shared_ptr<BootSequence> sequence;

private:
    void start(const std::string& name) {
        auto& errors = trouble[name];
        if (!errors.empty()) {
            const auto code = errors.front();
            errors.pop_front();
            throw Error{code, "no"};
        }
        log += name + " ";
        up.insert(name);
    }
    std::deque<std::function<void()>> posted_;
    std::multimap<std::chrono::milliseconds, std::function<void()>> timers_;
    std::chrono::milliseconds now_{0};
};

BootSequence::Entry entry(const std::string& name, std::int64_t priority = 0, std::chrono::seconds delay = 0s) {
    return {{"default", name}, priority, delay};
}

} // namespace

TEST_CASE("higher priorities start first, equal ones in the order given") {
    World world;
    world.run({entry("a"), entry("b", 5), entry("c", -1), entry("d", 5)});
    CHECK(world.log == "b d a c ");
    REQUIRE(world.outcome);
    CHECK(world.outcome->all_started);
    CHECK(world.outcome->unavailable.empty());
}

TEST_CASE("an empty sequence is done at once") {
    World world;
    world.run({});
    REQUIRE(world.outcome);
    CHECK(world.outcome->all_started);
}

TEST_CASE("instances of one priority start side by side, within the bound") {
    World world;
    world.run({entry("a"), entry("b"), entry("c"), entry("d"), entry("e")}, 3);
    CHECK(world.most_posted == 3);
    CHECK(world.up.size() == 5);
}

TEST_CASE("a delay holds up what comes after") {
    World world;
    world.run({entry("a", 0, 3s), entry("b"), entry("c", 1, 2s)});
    CHECK(world.log == "c +2 a +3 b ");
}

TEST_CASE("a failed start is tried three times, five seconds apart, then given up") {
    World world;
    world.trouble["a"] = {ErrorCode::Internal, ErrorCode::Internal, ErrorCode::Internal, ErrorCode::Internal};
    world.run({entry("a"), entry("b"), entry("z", -1)});
    CHECK(world.log == "!a b +5 !a +5 !a! z ");
    REQUIRE(world.outcome);
    CHECK_FALSE(world.outcome->all_started);
    CHECK(world.outcome->unavailable.empty());
}

TEST_CASE("a start that works at the second try is a start") {
    World world;
    world.trouble["a"] = {ErrorCode::Internal};
    world.run({entry("a", 0, 2s), entry("b")});
    CHECK(world.log == "!a +5 a +2 b ");
    CHECK(world.outcome->all_started);
}

TEST_CASE("a pool or network that is away is no failure and holds nobody up") {
    World world;
    world.trouble["a"] = {ErrorCode::Unavailable};
    world.run({entry("a", 1), entry("b")});
    CHECK(world.log == "!a b ");
    REQUIRE(world.outcome->unavailable.size() == 1);
    CHECK(world.outcome->unavailable[0].name == "a");
    CHECK_FALSE(world.outcome->all_started);
}

TEST_CASE("an instance that somebody else started is left alone") {
    World world;
    world.up.insert("a");
    world.run({entry("a"), entry("b")});
    CHECK(world.log == "b ");
    CHECK(world.outcome->all_started);
}

TEST_CASE("after a cancel nothing starts and nothing is reported") {
    World world;
    world.begin({entry("a", 0, 5s), entry("b")});
    world.step(false);
    CHECK(world.log == "a ");
    world.sequence->cancel();
    world.step();
    CHECK(world.log == "a +5 ");
    CHECK_FALSE(world.outcome);
}
