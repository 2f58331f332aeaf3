// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <random>

#include "integration/instance/world.hpp"
#include "util/dir.hpp"

using namespace lxdcore;
using test::soon;
using test::World;

namespace {

int parent_of(int pid) {
    std::istringstream in{test::read_file("/proc/" + std::to_string(pid) + "/status")};
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
    return -1;
}

std::size_t entries(const std::string& path) {
    std::size_t count = 0;
    std::error_code ignored;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{path, ignored})
        ++count;
    return count;
}

/// Containers of ours in the freezer or unified hierarchy.
std::size_t payloads(const std::string& prefix) {
    std::size_t count = 0;
    for (const char* root :
         {"/sys/fs/cgroup", "/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"}) {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator{root, ignored})
            if (entry.path().filename().string().find(prefix) != std::string::npos) ++count;
    }
    return count;
}

} // namespace

TEST_CASE("the death of init or of the monitor makes an instance stopped, and it can start again (R50)") {
    World world;
    world.create("it-die");
    for (const bool monitor : {false, true}) {
        CAPTURE(monitor);
        world.start("it-die");
        const int init = world.pid("it-die");
        REQUIRE(::kill(monitor ? parent_of(init) : init, SIGKILL) == 0);
        CHECK(soon([&] { return world.status("it-die") == api::Status::Stopped; }));
        CHECK(soon([&] { return ::kill(init, 0) != 0; }));
        CHECK(world.config("it-die", "volatile.last_state.power") == "STOPPED");
        CHECK(payloads("it-die") == 0);
    }
    world.start("it-die");
    CHECK(world.status("it-die") == api::Status::Running);
}

TEST_CASE("running containers are taken over by the next process with the same init (R47)") {
    World world;
    world.create("it-run");
    world.create("it-gone");
    world.start("it-run");
    world.start("it-gone");
    const int init = world.pid("it-run");
    const int gone = world.pid("it-gone");
    world.close();
    CHECK(::kill(init, 0) == 0);
    ::kill(gone, SIGKILL);
    CHECK(soon([&] { return ::kill(gone, 0) != 0; }));
    world.open();
    CHECK(world.pid("it-run") == init);
    CHECK(world.status("it-run") == api::Status::Running);
    CHECK(world.run("it-run", "true") == 0);
    CHECK(world.status("it-gone") == api::Status::Stopped);
    CHECK(world.config("it-gone", "volatile.last_state.power") == "STOPPED");
    world.stop("it-run");
}

TEST_CASE("a killed process leaves instances complete or absent, and both can be repeated (R41, R42)") {
    World world;
    world.create("it-base");
    world.close();
    std::mt19937 random{42};
    for (int round = 0; round < 24; ++round) {
        CAPTURE(round);
        const int kind = round % 3;
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            try {
                Core core{World::options(world.path())};
                auto request = World::post("it-kill");
                if (kind == 1) {
                    request.source = {};
                    request.source.type = "copy";
                    request.source.source = "it-base";
                    request.requested_profiles = {"default"};
                }
                core.instances().create("default", request)->wait();
                if (kind == 2) core.instances().remove(World::ref("it-kill"))->wait();
                ::pause();
            } catch (...) { // killed or not, the parent looks at what is left
            }
            ::_exit(0);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{random() % 150});
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);

        world.open();
        const auto names = world.instances().names("default");
        const bool listed = std::find(names.begin(), names.end(), "it-kill") != names.end();
        const bool on_disk = std::filesystem::exists(world.path() / "storage-pools/default/containers/it-kill");
        CHECK(listed == on_disk);
        if (listed) {
            world.start("it-kill");
            world.stop("it-kill");
            world.remove("it-kill");
        } else {
            world.create("it-kill");
            world.remove("it-kill");
        }
        // What was deleted is set aside and emptied a moment later.
        CHECK(soon([&] { return entries((world.path() / "storage-pools/default/containers").string()) == 1; }));
        world.close();
    }
}

TEST_CASE("eight at a time launch, run and delete without an error (R51)") {
    World world;
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
            const auto name = "it-par" + std::to_string(i);
            const auto ok = [&](const OperationPtr& operation) {
                operation->wait();
                if (operation->status() != api::Status::Success) ++failures;
            };
            try {
                ok(world.instances().create("default", World::post(name)));
                ok(world.act(name, "start"));
                if (world.run(name, "true") != 0) ++failures;
                ok(world.act(name, "stop", true));
                ok(world.instances().remove(World::ref(name)));
            } catch (const Error&) {
                ++failures;
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    CHECK(failures == 0);
    CHECK(world.instances().names("default").empty());
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kLives = 10; // takes minutes otherwise
#else
constexpr int kLives = 100;
#endif

TEST_CASE("a hundred lives leave nothing behind (R58)") {
    World world;
    const auto once = [&] {
        world.create("it-leak");
        world.start("it-leak");
        world.run("it-leak", "true");
        world.stop("it-leak");
        world.remove("it-leak");
    };
    once();
    const auto mounts = test::read_file("/proc/self/mountinfo");
    const auto fds = entries("/proc/self/fd");
    const auto links = entries("/sys/class/net");
    for (int i = 0; i < kLives; ++i)
        once();
    CHECK(soon([&] { return entries("/proc/self/fd") <= fds + 5; }));
    CHECK(test::read_file("/proc/self/mountinfo") == mounts);
    CHECK(entries("/sys/class/net") == links);
    CHECK(soon([&] { return payloads("it-leak") == 0; }));
    CHECK(entries((world.path() / "devices").string()) == 0);
    CHECK(entries((world.path() / "logs").string()) == 0);
}
