// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <signal.h>

#include <atomic>
#include <future>
#include <thread>

#include <lxdcore/error.hpp>

#include "instance/runtime_table.hpp"
#include "util/dir.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;
using namespace std::chrono_literals;

namespace {

/// A parent with one child stands for a monitor with its init.
struct Pair {
    Process monitor;
    int init = -1;
    explicit Pair(const std::string& script) : monitor{spawn({.argv = {"/bin/sh", "-c", script}})} { init = child(-1); }

    int child(int other_than) const {
        const auto id = std::to_string(monitor.pid());
        for (int i = 0; i < 500; ++i) {
            const auto list = Dir::open("/proc").read_if_exists(id + "/task/" + id + "/children").value_or("");
            const auto pid = text::parse_int(text::trim(list));
            if (pid && *pid != other_than) return static_cast<int>(*pid);
            std::this_thread::sleep_for(10ms);
        }
        return -1;
    }
};

struct Fixture {
    Reactor reactor;
    std::promise<std::uint64_t> ended;
    RuntimeTable table{
        reactor, {.ended = [this](const InstanceRef&, std::uint64_t generation) { ended.set_value(generation); }}};
    const InstanceRef ref{"default", "c1"};
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "an instance without entry is stopped, with one running or frozen") {
    CHECK(table.status(ref) == api::Status::Stopped);
    Pair pair{"sleep 1000 & wait"};
    const auto running = table.add(ref, pair.init, {}, "group");
    CHECK(running.monitor_pid == pair.monitor.pid());
    CHECK(table.status(ref) == api::Status::Running);
    table.set_frozen(ref, true);
    CHECK(table.status(ref) == api::Status::Frozen);
    table.erase(ref, running.generation + 1);
    CHECK(table.find(ref));
    table.erase(ref, running.generation);
    CHECK(table.status(ref) == api::Status::Stopped);
    ::kill(pair.init, SIGKILL);
}

TEST_CASE_FIXTURE(Fixture, "the end of the monitor is reported once and the entry waits for its clean-up") {
    Pair pair{"sleep 1000 & wait"};
    const auto running = table.add(ref, pair.init, {}, "");
    pair.monitor.kill(SIGKILL);
    CHECK(ended.get_future().get() == running.generation);
    CHECK(table.find(ref));
    CHECK(!table.wait_gone(ref, running.generation, 1ms));
    table.erase(ref, running.generation);
    CHECK(table.wait_gone(ref, running.generation, std::nullopt));
    ::kill(pair.init, SIGKILL);
}

TEST_CASE_FIXTURE(Fixture, "an init that has ended already cannot be taken over") {
    Pair pair{"sleep 0.01; sleep 1000 & wait"};
    auto gone = spawn({.argv = {"/bin/true"}});
    const int pid = gone.pid();
    gone.wait();
    CHECK_THROWS_AS(table.add(ref, pid, {}, ""), Error);
    CHECK(table.status(ref) == api::Status::Stopped);
}

TEST_CASE_FIXTURE(Fixture, "a stop that was asked for can be withdrawn") {
    CHECK(!table.request_stop(ref, false));
    Pair pair{"sleep 1000 & wait"};
    table.add(ref, pair.init, {}, "");
    CHECK(table.request_stop(ref, true));
    CHECK(table.find(ref)->keep);
    table.withdraw_stop(ref);
    CHECK(!table.find(ref)->stop_requested);
    CHECK(!table.find(ref)->keep);
    ::kill(pair.init, SIGKILL);
}

TEST_CASE("nothing is reported any more once the table is gone") {
    Reactor reactor;
    std::promise<void> begun;
    std::atomic<bool> over = false;
    auto table = std::make_unique<RuntimeTable>(
        reactor, RuntimeTable::Callbacks{.ended = [&](const InstanceRef&, std::uint64_t) {
            begun.set_value();
            std::this_thread::sleep_for(50ms); // whom it belongs to would be destroyed meanwhile
            over = true;
        }});
    Pair pair{"sleep 1000 & wait"};
    table->add({"default", "c1"}, pair.init, {}, "");
    pair.monitor.kill(SIGKILL);
    begun.get_future().wait();
    table.reset();
    CHECK(over);
    ::kill(pair.init, SIGKILL);
}
