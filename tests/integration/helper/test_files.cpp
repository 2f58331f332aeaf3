// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "guest_sandbox.hpp"

using namespace lxdcore;
using lxdcore::test::GuestFixture;
namespace fs = std::filesystem;

namespace {

const IdMap kNoShift;

/// Files of a stopped instance whose root is a directory of the test, next to one that must never change.
class StoppedInstance {
public:
    StoppedInstance() {
        fs::create_directories(dir_ / "root/etc");
        fs::create_directories(dir_ / "canary");
        test::write_file(dir_ / "canary/secret", "secret");
        root_.emplace(Dir::open(dir_ / "root"));
    }
    std::string pull(const std::string& path) {
        const auto file = guest_.access().pull(ref_, std::nullopt, &*root_, kNoShift, path, false);
        if (!file.fd) return file.target;
        std::string text;
        char block[4096];
        for (ssize_t n; (n = ::read(*file.fd, block, sizeof block)) > 0;)
            text.append(block, static_cast<std::size_t>(n));
        return text;
    }
    void push(const std::string& path, const std::string& type = "file", const std::string& target = "") {
        InstanceFilePush push;
        push.path = path;
        push.type = type;
        push.symlink_target = target;
        guest_.access().push(ref_, std::nullopt, &*root_, kNoShift, push);
    }
    void remove(const std::string& path) { guest_.access().remove(ref_, std::nullopt, &*root_, kNoShift, path); }
    fs::path path(const std::string& name) const { return dir_ / name; }
    bool canary_untouched() const {
        return test::read_file(dir_ / "canary/secret") == "secret" &&
               std::distance(fs::directory_iterator{dir_ / "canary"}, fs::directory_iterator{}) == 1;
    }

private:
    test::TempDir dir_;
    GuestFixture guest_;
    InstanceRef ref_{"default", "stopped"};
    std::optional<Dir> root_;
};

} // namespace

TEST_CASE("links of an instance lead to its own files only") {
    StoppedInstance instance;
    const auto canary = instance.path("canary").string();
    fs::create_symlink(canary, instance.path("root/absolute"));
    fs::create_symlink("../../../../../.." + canary, instance.path("root/relative"));
    fs::create_symlink("/proc/self/root" + canary, instance.path("root/magic"));
    for (const std::string link : {"absolute", "relative", "magic"}) {
        CHECK_THROWS_AS(instance.pull("/" + link + "/secret"), Error);
        CHECK_THROWS_AS(instance.push("/" + link + "/planted"), Error);
        CHECK_THROWS_AS(instance.remove("/" + link + "/secret"), Error);
    }
    CHECK_THROWS_AS(instance.pull("/../canary/secret"), Error);
    CHECK_THROWS_AS(instance.remove("/etc/../../canary/secret"), Error);
    CHECK(instance.canary_untouched());
}

TEST_CASE("a directory that turns into a link meanwhile never leads out") {
    StoppedInstance instance;
    fs::create_directory(instance.path("root/real"));
    fs::create_symlink(instance.path("canary"), instance.path("root/link"));
    std::atomic<bool> stop{false};
    std::thread swapper{[&] {
        while (!stop)
            ::renameat2(AT_FDCWD, instance.path("root/real").c_str(), AT_FDCWD, instance.path("root/link").c_str(),
                        RENAME_EXCHANGE);
    }};
    std::vector<std::thread> clients;
    for (int i = 0; i < 8; ++i)
        clients.emplace_back([&, i] {
            for (int round = 0; round < 25; ++round) {
                try {
                    instance.push("/real/f" + std::to_string(i));
                    instance.remove("/real/secret");
                } catch (const Error&) { // either way is fine, as long as the canary lives
                }
            }
        });
    for (auto& client : clients)
        client.join();
    stop = true;
    swapper.join();
    CHECK(instance.canary_untouched());
}

TEST_CASE("pipes and devices are never opened") {
    StoppedInstance instance;
    REQUIRE(::mkfifo(instance.path("root/fifo").c_str(), 0666) == 0);
    CHECK(instance.pull("/fifo").empty());
    CHECK_THROWS_AS(instance.push("/fifo"), Error);
}

TEST_CASE("names are bytes") {
    StoppedInstance instance;
    const std::string name = "/\xff new\nline \xe9";
    instance.push(name);
    CHECK(fs::exists(instance.path("root") / name.substr(1)));
    instance.remove(name);
    CHECK_FALSE(fs::exists(instance.path("root") / name.substr(1)));
}

TEST_CASE("files that are absent, in the way or not empty give LXD's errors") {
    StoppedInstance instance;
    CHECK_THROWS_WITH_AS(instance.pull("/nope"), "Not Found", Error);
    CHECK_THROWS_WITH_AS(instance.push("/nope/x"), "Not Found", Error);
    instance.push("/etc/x");
    CHECK_THROWS_WITH_AS(instance.remove("/etc"), "sftp: \"remove /etc: directory not empty\" (SSH_FX_FAILURE)", Error);
    CHECK_THROWS_WITH_AS(instance.push("/etc"), "sftp: \"open /etc: is a directory\" (SSH_FX_FAILURE)", Error);
    instance.push("/link", "symlink", "/etc/x");
    CHECK(instance.pull("/link") == "/etc/x");
    instance.push("/etc", "directory");
}
