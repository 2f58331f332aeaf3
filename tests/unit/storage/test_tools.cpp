// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/tools/tools.hpp"
#include "support/fake_tools.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using storage::ToolCall;
using storage::Tools;

namespace {
std::string failure(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "none";
}
} // namespace

TEST_CASE("a program's output is returned, and each call is logged") {
    std::vector<LogRecord> records;
    const Logger log{[&](const LogRecord& record) { records.push_back(record); }};
    Tools tools{log};
    CHECK(tools.run({"echo", "a b", "c"}) == "a b c\n");
    REQUIRE(records.size() == 1);
    CHECK(records[0].level == LogLevel::Debug);
    CHECK(records[0].context.at("argv") == "echo a b c");
}

TEST_CASE("a program that fails gives its last line of stderr") {
    const Logger log;
    Tools tools{log};
    CHECK(failure([&] {
              tools.run({"ls", "/nowhere/at/all"});
          }) == "Failed to run: ls /nowhere/at/all: exit status 2 "
                "(ls: cannot access '/nowhere/at/all': No such file or directory)");
    CHECK(failure([&] { tools.run({"false"}); }) == "Failed to run: false: exit status 1 ()");
    CHECK(tools.ask({"false"}).code == 1);
    CHECK_FALSE(tools.succeeds({"false"}));
    CHECK(failure([&] { tools.run({"no-such-program-here"}); }) != "none");
}

TEST_CASE("a program is stopped at its time, and when asked to") {
    const Logger log;
    Tools tools{log};
    CHECK(failure([&] {
              tools.run({.argv = {"sleep", "60"}, .timeout = std::chrono::milliseconds{50}});
          }) == "sleep: timed out");
    std::stop_source source;
    std::jthread stopper{[&] { source.request_stop(); }};
    CHECK(failure([&] { tools.run({.argv = {"sleep", "60"}, .stop = source.get_token()}); }) == "sleep: cancelled");
}

TEST_CASE("a program reads and writes descriptors that it is given") {
    const test::TempDir temp;
    test::write_file(temp / "in", std::string(300'000, 'x'));
    const UniqueFd in{::open((temp / "in").c_str(), O_RDONLY | O_CLOEXEC)};
    const UniqueFd out{::open((temp / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
    const Logger log;
    Tools tools{log};
    CHECK(tools.run({.argv = {"cat"}, .in = in.get(), .out = out.get()}).empty());
    CHECK(test::read_file(temp / "out") == std::string(300'000, 'x'));
}

TEST_CASE("what is found needs no process") {
    const Logger log;
    const Tools tools{log};
    CHECK(tools.installed("cat"));
    CHECK_FALSE(tools.installed("no-such-program-here"));
}

TEST_CASE("a name that a program could take for something else never reaches it") {
    for (const std::string bad : {"", "-f", "--help", "a\nb", "a\tb"})
        CHECK_THROWS_AS(storage::operand(bad), Error);
    for (const std::string good : {"a", "a-b", "/dev/sdb", "pool/containers/c1@snapshot-x"})
        CHECK(storage::operand(good) == good);
}

TEST_CASE("the recording fake keeps the sequence and answers as told") {
    const Logger log;
    test::FakeTools tools{log};
    tools.answer("zfs get", "x\n");
    tools.answer("zfs get -H", "y\n");
    tools.fail("zfs destroy", "dataset is busy");
    CHECK(tools.run({"zfs", "get", "-H", "a"}) == "y\n");
    CHECK(tools.run({"zfs", "get", "a"}) == "x\n");
    CHECK(failure([&] {
              tools.run({"zfs", "destroy", "a"});
          }) == "Failed to run: zfs destroy a: exit status 1 (dataset is busy)");
    CHECK(tools.take() == std::vector<std::string>{"zfs get -H a", "zfs get a", "zfs destroy a"});
    CHECK(tools.take().empty());
}

TEST_CASE("what one program writes another one reads") {
    const test::TempDir temp;
    const auto copy = (temp / "copy").string();
    test::write_file(temp / "in", std::string(300'000, 'y'));
    const Logger log;
    Tools tools{log};
    tools.pipe({.argv = {"cat", (temp / "in").string()}}, {.argv = {"dd", "status=none", "of=" + copy}});
    CHECK(test::read_file(copy) == std::string(300'000, 'y'));
    CHECK(failure([&] { tools.pipe({.argv = {"false"}}, {.argv = {"cat"}}); }) ==
          "Failed to run: false: exit status 1 ()");
    CHECK(failure([&] {
              tools.pipe({.argv = {"cat", "/dev/zero"}}, {.argv = {"false"}});
          }) == "Failed to run: false: exit status 1 ()");
}
