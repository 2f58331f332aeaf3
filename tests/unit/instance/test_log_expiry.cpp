// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "instance/log_expiry.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

struct Logs {
    test::TempDir root;
    const std::chrono::system_clock::time_point now = std::chrono::system_clock::now();

    void add(const std::string& name, int hours) const {
        test::write_file(root / name, "x");
        age(name, hours);
    }
    void age(const std::string& name, int hours) const {
        fs::last_write_time(root / name, fs::file_time_type::clock::now() - std::chrono::hours{hours});
    }
    bool has(const std::string& name) const { return fs::exists(fs::symlink_status(root / name)); }
    void expire(const std::set<std::string>& running = {}) const {
        instance::expire_logs(Dir::open(root.path().string()), {"c1", "p_c2"}, running, now, Logger{});
    }
};

} // namespace

TEST_CASE("logs of an instance go after two days, and nothing else of it") {
    const Logs logs;
    for (const auto* folder : {"c1", "p_c2"}) {
        const auto in = std::string{folder} + "/";
        for (const auto* name : {"lxc.log", "lxc.log.old", "console.log", "console.log.1", "forkstart.log"})
            logs.add(in + name, 49);
        for (const auto* name : {"lxc.conf", "exec_1.stdout", "exec_1.stderr", "note.txt", "a.log.1"})
            logs.add(in + name, 900);
        logs.add(in + "young.log", 47);
        fs::create_symlink("/etc/passwd", logs.root / (in + "link.log"));
    }
    logs.expire();
    for (const auto* folder : {"c1", "p_c2"}) {
        const auto in = std::string{folder} + "/";
        for (const auto* name : {"lxc.log", "lxc.log.old", "console.log", "console.log.1", "forkstart.log"}) {
            CAPTURE(name);
            CHECK(!logs.has(in + name));
        }
        for (const auto* name :
             {"lxc.conf", "exec_1.stdout", "exec_1.stderr", "note.txt", "a.log.1", "young.log", "link.log"}) {
            CAPTURE(name);
            CHECK(logs.has(in + name));
        }
    }
}

TEST_CASE("the logs that a running instance writes stay") {
    const Logs logs;
    for (const auto* name : {"c1/lxc.log", "c1/console.log", "c1/console.log.1", "c1/lxc.log.old", "p_c2/lxc.log"})
        logs.add(name, 100);
    logs.expire({"c1"});
    CHECK(logs.has("c1/lxc.log"));
    CHECK(logs.has("c1/console.log"));
    CHECK(logs.has("c1/console.log.1"));
    CHECK(!logs.has("c1/lxc.log.old"));
    CHECK(!logs.has("p_c2/lxc.log"));
}

TEST_CASE("the folder of an instance that is gone goes when nothing in it changed for a day") {
    const Logs logs;
    for (const auto& [folder, file, self] : {std::tuple{"old", 25, 25}, {"written", 1, 25}, {"touched", 25, 1}}) {
        logs.add(std::string{folder} + "/exec_1.stdout", file);
        logs.age(folder, self);
    }
    logs.add("dnsmasq.br0.log", 900);
    fs::create_directory_symlink("/etc", logs.root / "away");
    logs.expire();
    CHECK(!logs.has("old"));
    CHECK(logs.has("written"));
    CHECK(logs.has("touched"));
    CHECK(logs.has("dnsmasq.br0.log"));
    CHECK(logs.has("away"));
    CHECK(fs::exists("/etc/passwd"));
}
