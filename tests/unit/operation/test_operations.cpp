// SPDX-License-Identifier: Apache-2.0
#include "operation/operation_manager.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <nlohmann/json.hpp>

#include "event/event_hub.hpp"
#include "operation/operation_types.hpp"

using namespace lxdcore;
using api::Status;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds long_enough{20'000};

struct Fixture {
    Logger log;
    Reactor reactor;
    std::unique_ptr<EventService> events = make_event_service();
    std::unique_ptr<WorkerPool> pool = std::make_unique<WorkerPool>(8);
    std::unique_ptr<OperationService> operations = make_operation_service(*events, *pool, reactor, log);
    ~Fixture() { pool.reset(); }
};

OperationOptions creating() {
    return {.type = kInstanceCreate,
            .resources = {{"instances", {"/1.0/instances/c1"}}, {"containers", {"/1.0/containers/c1"}}}};
}

OperationOptions websocket() { return {.klass = OperationClass::Websocket, .type = kCommandExec}; }

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("no error");
    return ErrorCode::Internal;
}

const Caller alice{"alice", "tls", "10.0.0.1", false};
const Caller bob{"bob", "tls", "10.0.0.2", false};
const Caller admin{"root", "unix", "@", true};

/// Holds work until it is let go.
struct Gate {
    std::atomic<bool> open = false;
    void wait() const { open.wait(false); }
    void let_go() {
        open = true;
        open.notify_all();
    }
};

} // namespace

TEST_CASE("who ends the service does not wait for long work, which is asked to give up") {
    Fixture f;
    std::atomic<bool> begun = false;
    auto op = f.operations->start({}, [&](OperationContext& context) {
        begun = true;
        begun.notify_all();
        while (true) {
            context.throw_if_cancelled();
            std::this_thread::sleep_for(milliseconds{5});
        }
    });
    begun.wait(false);
    CHECK(code_of([&] { op->cancel(); }) == ErrorCode::BadState);
    f.operations->drain(milliseconds{0});
    REQUIRE(op->wait(long_enough));
    CHECK(op->status() == Status::Cancelled);
}

TEST_CASE("an operation looks like LXD's") {
    Fixture f;
    Gate gate;
    auto op = f.operations->start(creating(), [&](OperationContext&) { gate.wait(); });
    auto json = op->to_json();
    gate.let_go();
    CHECK(json["id"] == op->id());
    CHECK(json["created_at"] == json["updated_at"]);
    for (const char* changing : {"id", "created_at", "updated_at"})
        json.erase(changing);
    CHECK(json == nlohmann::json::parse(R"({"class":"task","description":"Creating instance","status":"Running",
        "status_code":103,"resources":{"containers":["/1.0/containers/c1"],"instances":["/1.0/instances/c1"]},
        "metadata":null,"may_cancel":false,"err":"","location":"none"})"));
    CHECK(op->wait(long_enough));
    CHECK(op->to_json()["status_code"] == 200);
}

TEST_CASE("work that throws ends its operation as Failure with its text") {
    Fixture f;
    auto error = f.operations->start({}, [](OperationContext&) { throw Error{ErrorCode::NotFound, "no such thing"}; });
    auto other = f.operations->start({}, [](OperationContext&) { throw std::runtime_error{"odd"}; });
    CHECK(error->wait(long_enough));
    CHECK(other->wait(long_enough));
    CHECK(error->status() == Status::Failure);
    CHECK(error->to_json()["err"] == "no such thing");
    CHECK(other->error() == "odd");
}

TEST_CASE("an ended operation can still be waited for and read") {
    Fixture f;
    auto op = f.operations->start({}, [](OperationContext& context) { context.update_metadata({{"a", 1}}); });
    CHECK(op->wait(long_enough));
    CHECK(f.operations->get(op->id(), admin)->wait(milliseconds{0}));
    int called = 0;
    op->on_end([&] { ++called; });
    CHECK(called == 1);
    CHECK(op->to_json()["metadata"]["a"] == 1);
}

TEST_CASE("an operation that is held can be read when everything else has gone") {
    OperationPtr task, session;
    {
        Fixture f;
        task = f.operations->start({}, [](OperationContext& context) { context.update_metadata({{"a", 1}}); });
        session = f.operations->create(websocket())->operation(); // its handle goes
        f.operations->drain(long_enough);
    }
    CHECK(task->wait());
    CHECK(task->to_json()["metadata"]["a"] == 1);
    CHECK(session->status() == Status::Failure);
    CHECK(session->error() == "The operation was given up");
    int called = 0;
    session->on_end([&] { ++called; });
    CHECK(called == 1);
    CHECK(code_of([&] { task->cancel(); }) == ErrorCode::BadState);
    CHECK(code_of([&] { session->connect("secret"); }) == ErrorCode::BadState);
}

TEST_CASE("waiting ends at the timeout") {
    Fixture f;
    Gate gate;
    auto op = f.operations->start({}, [&](OperationContext&) { gate.wait(); });
    CHECK_FALSE(op->wait(milliseconds{1}));
    gate.let_go();
    CHECK(op->wait());
}

TEST_CASE("cancelling stops work that listens, and nothing else") {
    Fixture f;
    Gate gate;
    auto stubborn = f.operations->start({}, [&](OperationContext&) { gate.wait(); });
    CHECK_THROWS_WITH_AS(stubborn->cancel(), "This operation can't be cancelled", Error);
    gate.let_go();
    CHECK(stubborn->wait(long_enough));
    CHECK_THROWS_WITH_AS(stubborn->cancel(), "Only running operations can be cancelled", Error);

    auto op = f.operations->start_cancellable({}, [](OperationContext& context) {
        while (!context.stop_token().stop_requested())
            std::this_thread::yield();
        context.throw_if_cancelled();
    });
    CHECK(op->to_json()["may_cancel"] == true);
    op->cancel();
    CHECK(op->wait(long_enough));
    CHECK(op->status() == Status::Cancelled);
    CHECK(op->to_json()["may_cancel"] == false);
}

TEST_CASE("work can refuse to be cancelled from a point on") {
    Fixture f;
    Gate reached, gate;
    auto op = f.operations->start_cancellable({}, [&](OperationContext& context) {
        context.refuse_cancel_from_here();
        reached.let_go();
        gate.wait();
    });
    reached.wait();
    CHECK(code_of([&] { op->cancel(); }) == ErrorCode::BadState);
    gate.let_go();
    CHECK(op->wait(long_enough));
    CHECK(op->status() == Status::Success);
}

TEST_CASE("operations of one identity are hidden from another") {
    Fixture f;
    OperationPtr op, internal;
    {
        const CallerScope scope{alice};
        op = f.operations->start({}, [](OperationContext&) { CHECK(CallerScope::current().username == "alice"); });
    }
    internal = f.operations->start({}, [](OperationContext&) { CHECK_FALSE(CallerScope::present()); });
    CHECK(op->wait(long_enough));
    CHECK(f.operations->get(op->id(), alice)->id() == op->id());
    CHECK(f.operations->get(op->id(), admin)->id() == op->id());
    CHECK_THROWS_WITH_AS(f.operations->get(op->id(), bob), "Operation not found", Error);
    CHECK_THROWS_WITH_AS(f.operations->get(internal->id(), bob), "Operation not found", Error);
    CHECK_THROWS_WITH_AS(f.operations->get("nothing", admin), "Operation not found", Error);
    CHECK(f.operations->list(bob, "").empty());
    CHECK(f.operations->list(alice, "").size() == 1);
    CHECK(f.operations->list(admin, "").size() == 2);
    CHECK(f.operations->list(admin, "other").empty());
    CHECK(f.operations->list(Caller{"", "tls", "", false}, "").empty());
}

TEST_CASE("every change reaches who subscribed before it, in order") {
    Fixture f;
    std::mutex mutex;
    std::vector<int> codes;
    std::vector<std::string> progress;
    const auto subscription = f.events->subscribe({.types = {"operation"}}, [&](const Event& event) {
        const auto json = nlohmann::json::parse(*event.json)["metadata"];
        const std::lock_guard lock{mutex};
        codes.push_back(json["status_code"]);
        if (json["metadata"].is_object()) progress.push_back(json["metadata"]["p"]);
    });
    auto op = f.operations->start({}, [](OperationContext& context) {
        for (int i = 0; i < 3; ++i)
            context.set_progress("p", std::to_string(i));
    });
    CHECK(op->wait(long_enough));
    const std::lock_guard lock{mutex};
    CHECK(codes == std::vector<int>{105, 103, 103, 103, 103, 200});
    CHECK(progress == std::vector<std::string>{"0", "1", "2", "2"});
}

TEST_CASE("an event that says the end is never before the end can be read") {
    Fixture f;
    for (int i = 0; i < 50; ++i) {
        std::atomic<bool> seen = false;
        const auto subscription = f.events->subscribe({.types = {"operation"}}, [&](const Event& event) {
            const auto id = nlohmann::json::parse(*event.json)["metadata"]["id"].get<std::string>();
            if (api::is_final(f.operations->get(id, admin)->status())) seen = true;
        });
        auto op = f.operations->start({}, [](OperationContext&) {});
        CHECK(op->wait(long_enough));
        CHECK(seen);
    }
}

TEST_CASE("a channel is given once, to who knows its secret, while the operation runs") {
    Fixture f;
    auto handle = f.operations->create(websocket());
    int connected = 0;
    const auto secret = handle->add_channel("0", Channel{.fd = 7}, [&] { ++connected; });
    CHECK(secret.size() == 64);
    CHECK(secret != handle->add_channel("control", Channel{}, {}));
    handle->context().update_metadata({{"fds", {{"0", secret}}}, {"command", {"true"}}});
    auto op = handle->operation();
    CHECK(code_of([&] { op->connect(secret); }) == ErrorCode::BadState);
    handle->run();
    CHECK(op->knows(secret));
    CHECK_FALSE(op->knows(secret.substr(1)));
    CHECK(code_of([&] { op->connect(std::string(64, '0')); }) == ErrorCode::Forbidden);
    CHECK(code_of([&] { op->connect(""); }) == ErrorCode::Forbidden);
    CHECK(op->connect(secret).fd == 7);
    CHECK(connected == 1);
    CHECK_THROWS_WITH_AS(op->connect(secret), "Websocket number already connected", Error);
    handle->succeed();
    CHECK_THROWS_WITH_AS(op->connect(secret), "Only running operations can be connected", Error);
    auto task = f.operations->start({}, [](OperationContext&) {});
    CHECK_THROWS_WITH_AS(task->connect(secret), "Only websocket operations can be connected", Error);
}

TEST_CASE("secrets are shown only to who asks for them") {
    Fixture f;
    std::string heard;
    const auto subscription = f.events->subscribe({}, [&](const Event& event) { heard += *event.json; });
    auto handle = f.operations->create(websocket());
    const auto secret = handle->add_channel("0", Channel{}, {});
    handle->context().update_metadata({{"fds", {{"0", secret}}}, {"interactive", false}});
    handle->run();
    const auto op = handle->operation();
    CHECK(op->to_json(true)["metadata"]["fds"]["0"] == secret);
    CHECK_FALSE(op->to_json()["metadata"].contains("fds"));
    CHECK(op->to_json()["metadata"]["interactive"] == false);
    handle->succeed();
    CHECK_FALSE(heard.empty());
    CHECK(heard.find(secret) == std::string::npos);
}

TEST_CASE("an operation whose handle is lost fails instead of running for ever") {
    Fixture f;
    auto handle = f.operations->create(websocket());
    handle->run();
    auto op = handle->operation();
    handle.reset();
    CHECK(op->status() == Status::Failure);
    CHECK_FALSE(op->error().empty());
    CHECK(f.operations->running() == 0);
}

TEST_CASE("a handle's operation can be cancelled when it says how") {
    Fixture f;
    auto handle = f.operations->create(websocket());
    handle->run();
    CHECK(code_of([&] { handle->operation()->cancel(); }) == ErrorCode::BadState);
    bool told = false;
    handle->on_cancel([&] { told = true; });
    handle->operation()->cancel();
    CHECK(told);
    CHECK(handle->operation()->status() == Status::Cancelling);
    handle->succeed();
    CHECK(handle->operation()->status() == Status::Cancelled);
}

TEST_CASE("a token is cancelled at once") {
    Fixture f;
    auto handle = f.operations->create({.klass = OperationClass::Token, .type = kImageToken});
    handle->context().update_metadata({{"secret", "s"}});
    handle->run();
    CHECK_FALSE(handle->operation()->to_json()["metadata"].contains("secret"));
    handle->operation()->cancel();
    CHECK(handle->operation()->status() == Status::Cancelled);
}

TEST_CASE("after drain() no operation starts, and what ran has ended") {
    Fixture f;
    std::atomic<int> done = 0;
    for (int i = 0; i < 20; ++i)
        f.operations->start({}, [&](OperationContext&) { ++done; });
    f.operations->drain(long_enough);
    CHECK(done == 20);
    CHECK(f.operations->running() == 0);
    CHECK(code_of([&] { f.operations->start({}, [](OperationContext&) {}); }) == ErrorCode::Unavailable);
}

TEST_CASE("many operations from many threads all end") {
    Fixture f;
    std::atomic<int> bad = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) {
                auto op = f.operations->start_cancellable({}, [](OperationContext& c) { c.throw_if_cancelled(); });
                if (i % 3 == 0) {
                    try {
                        op->cancel();
                    } catch (const Error&) { // it was faster
                    }
                }
                if (!op->wait(long_enough) || op->status() == Status::Failure) ++bad;
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    CHECK(bad == 0);
}

TEST_CASE("the result of an operation is its metadata, or its failure with its code") {
    Fixture f;
    const auto works = f.operations->start(creating(), [](OperationContext& op) { op.update_metadata({{"a", 1}}); });
    CHECK(works->result() == nlohmann::json{{"a", 1}});
    CHECK(f.operations->start(creating(), [](OperationContext&) {})->result() == nlohmann::json::object());

    const auto full = f.operations->start(creating(), [](OperationContext&) {
        throw Error{ErrorCode::NoSpace, "full"};
    });
    CHECK_THROWS_WITH(full->result(), "full");
    CHECK(code_of([&] { full->result(); }) == ErrorCode::NoSpace);
    const auto odd = f.operations->start(creating(), [](OperationContext&) { throw std::runtime_error{"odd"}; });
    CHECK(code_of([&] { odd->result(); }) == ErrorCode::Internal);

    const auto cancelled = f.operations->start_cancellable(creating(), [](OperationContext& op) {
        while (true) {
            op.throw_if_cancelled();
            std::this_thread::sleep_for(milliseconds{1});
        }
    });
    cancelled->cancel();
    CHECK(code_of([&] { cancelled->result(); }) == ErrorCode::Cancelled);
}
