// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "instance/console_log.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

struct Logs {
    test::TempDir root;
    Dir dir = Dir::open(root.path().string());
    void write(const std::string& name, const std::string& text) const { test::write_file(root / name, text); }
};

} // namespace

TEST_CASE("the console's log is the earlier file and the current one, and no more than is kept") {
    const Logs logs;
    CHECK(read_console_log(logs.dir).empty());
    logs.write("console.log", "new");
    CHECK(read_console_log(logs.dir) == "new");
    logs.write("console.log.1", "old,");
    CHECK(read_console_log(logs.dir) == "old,new");
    logs.write("console.log.1", std::string(kConsoleLog, 'x'));
    const auto text = read_console_log(logs.dir);
    CHECK(text.size() == kConsoleLog);
    CHECK(text.ends_with("xnew"));
    logs.write("console.log", std::string(10 * kConsoleLog, 'y') + "end"); // of an earlier release
    CHECK(read_console_log(logs.dir).size() == kConsoleLog);
    CHECK(read_console_log(logs.dir).ends_with("yend"));
}

TEST_CASE("a cleared log is empty, and who has it open writes on") {
    const Logs logs;
    reset_console_log(logs.dir);
    CHECK(logs.dir.list().empty());
    logs.write("console.log.1", "old");
    const auto writer = logs.dir.open_file("console.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    REQUIRE(::write(writer.get(), "one", 3) == 3);
    reset_console_log(logs.dir);
    CHECK(read_console_log(logs.dir).empty());
    REQUIRE(::write(writer.get(), "two", 3) == 3);
    CHECK(read_console_log(logs.dir) == "two");
}

TEST_CASE("a log that is turned over while it is read has no gap") {
    const Logs logs;
    constexpr int kBlock = 1000;
    std::atomic<bool> stop = false;
    logs.write("console.log", std::string(kBlock, 'a'));
    std::thread writer{[&] {
        for (char letter = 'b'; !stop; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
            logs.dir.replace("console.log", "console.log.1");
            logs.write("console.log", std::string(kBlock, letter));
            std::this_thread::sleep_for(std::chrono::microseconds{500});
        }
    }};
    for (int whole = 0; whole < 200;) {
        const auto text = read_console_log(logs.dir);
        if (text.size() < 2 * kBlock) continue; // before the current one is written
        ++whole;
        CHECK(text[kBlock] == (text[0] == 'z' ? 'a' : text[0] + 1));
    }
    stop = true;
    writer.join();
}
