// SPDX-License-Identifier: Apache-2.0
#include "util/process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "support/temp_dir.hpp"
#include "util/helper_program.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using std::chrono::milliseconds;
namespace fs = std::filesystem;

namespace {

constexpr milliseconds long_enough{20'000};

std::ptrdiff_t open_descriptors() {
    return std::distance(fs::directory_iterator{"/proc/self/fd"}, fs::directory_iterator{});
}

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    FAIL("no error");
    return ErrorCode::Internal;
}

/// Stands in for the helper: any program that speaks on descriptors 3 and 4.
HelperProgram script_helper(const test::TempDir& dir, const std::string& body) {
    const auto path = dir / "helper";
    test::write_file(path, "#!/bin/sh\n" + body);
    return HelperProgram{path};
}

} // namespace

TEST_CASE("output, errors and exit status come back") {
    const auto result = run({"sh", "-c", "echo out; echo err >&2; exit 3"});
    CHECK(result.code == 3);
    CHECK(result.out == "out\n");
    CHECK(result.err == "err\n");
    CHECK(run({"sh", "-c", "kill -TERM $$"}).code == 128 + SIGTERM);
}

TEST_CASE("input is fed, also to who does not read it") {
    RunOptions options;
    options.input = std::string(1 << 20, 'x');
    CHECK(run({"wc", "-c"}, options).out == "1048576\n");
    CHECK(run({"true"}, options).code == 0);
}

TEST_CASE("arguments are never seen by a shell") { CHECK(run_checked({"echo", "$(id); `id` *"}) == "$(id); `id` *\n"); }

TEST_CASE("run_checked() says what the program said last") {
    CHECK_THROWS_WITH_AS(run_checked({"sh", "-c", "echo first >&2; echo last >&2; exit 1"}), "sh: last", Error);
    CHECK_THROWS_WITH_AS(run_checked({"sh", "-c", "exit 4"}), "sh: exit status 4", Error);
    CHECK(code_of([] { run({"/nonexistent/program"}); }) == ErrorCode::NotFound);
}

TEST_CASE("what does not end is killed at the timeout, or when it is cancelled") {
    CHECK(code_of([] { run({"sleep", "1000"}, {.timeout = milliseconds{10}}); }) == ErrorCode::Internal);
    std::stop_source source;
    std::thread stopper{[&] { source.request_stop(); }};
    RunOptions options;
    options.stop = source.get_token();
    CHECK(code_of([&] { run({"sleep", "1000"}, options); }) == ErrorCode::Cancelled);
    stopper.join();
}

TEST_CASE("output without end is cut, not kept") {
    RunOptions options;
    options.max_output = 1000;
    CHECK(run({"head", "-c", "3000000", "/dev/zero"}, options).out.size() == 1000);
}

TEST_CASE("a child inherits only what it is given") {
    const UniqueFd leak{::open("/etc/passwd", O_RDONLY)}; // deliberately without O_CLOEXEC
    const UniqueFd high{::fcntl(leak.get(), F_DUPFD, 200)};
    // ls itself has the directory open as 3.
    CHECK(run_checked({"ls", "/proc/self/fd"}) == "0\n1\n2\n3\n");
}

TEST_CASE("descriptors arrive under their new numbers, in any permutation") {
    int pipe_a[2], pipe_b[2];
    REQUIRE(::pipe2(pipe_a, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(pipe_b, O_CLOEXEC) == 0);
    const UniqueFd read_a{pipe_a[0]}, write_a{pipe_a[1]}, read_b{pipe_b[0]}, write_b{pipe_b[1]};
    SpawnOptions options;
    // Each takes the number of the other.
    options.argv = {"sh", "-c",
                    "echo to-a >/proc/self/fd/" + std::to_string(write_b.get()) + "; echo to-b >/proc/self/fd/" +
                        std::to_string(write_a.get())};
    options.fds = {{write_a.get(), write_b.get()}, {write_b.get(), write_a.get()}};
    CHECK(spawn(options).wait() == 0);
    char buffer[16];
    CHECK(std::string(buffer, static_cast<std::size_t>(::read(read_a.get(), buffer, sizeof buffer))) == "to-a\n");
    CHECK(std::string(buffer, static_cast<std::size_t>(::read(read_b.get(), buffer, sizeof buffer))) == "to-b\n");
}

TEST_CASE("a child starts with default signals, a clean environment and in /") {
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    ::setenv("SECRET", "x", 1);
    const auto out = run_checked({"sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status; pwd; env"});
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    CAPTURE(out);
    CHECK(out.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n/\n") == 0);
    CHECK(out.find("SECRET") == std::string::npos);
    CHECK(out.find("LANG=C.UTF-8") != std::string::npos);
}

TEST_CASE("a child that is let go is killed and reaped unless it was asked to stay") {
    pid_t pid = -1;
    {
        SpawnOptions options;
        options.argv = {"sleep", "1000"};
        auto child = spawn(options);
        pid = child.pid();
        CHECK_FALSE(child.wait_for(milliseconds{1}).has_value());
    }
    CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("running programs leaves no descriptor and no zombie behind") {
    run({"true"});
    const auto before = open_descriptors();
    for (int i = 0; i < 50; ++i)
        run({"true"});
    CHECK_THROWS_AS(run({"/nonexistent/program"}), Error);
    CHECK_THROWS_AS(run({"sleep", "1000"}, {.timeout = milliseconds{1}}), Error);
    CHECK(open_descriptors() == before);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("the helper runs from a sealed copy that a change on disk does not reach") {
    test::TempDir dir;
    const auto helper = script_helper(dir, "cat <&3 >/dev/null\necho '{\"ok\":true,\"verb\":\"'$1'\"}' >&4\n");
    test::write_file(dir / "helper", "#!/bin/sh\nexit 1\n");
    CHECK(helper.call("greet", {{"a", 1}})["verb"] == "greet");
}

TEST_CASE("what the helper answers becomes the error it names") {
    test::TempDir dir;
    const auto refusing =
        script_helper(dir, "echo '{\"ok\":false,\"error\":\"no such file\",\"code\":\"NotFound\"}' >&4\n");
    CHECK(code_of([&] { refusing.call("x", {}); }) == ErrorCode::NotFound);
    CHECK_THROWS_WITH_AS(refusing.call("x", {}), "no such file", Error);
}

TEST_CASE("a helper that dies, babbles or hangs is an error and never more") {
    test::TempDir dir;
    for (const std::string body :
         {"exit 0", "kill -SEGV $$", "echo nonsense >&4", "echo '{}' >&4", "echo '{\"ok\":3}' >&4"}) {
        CAPTURE(body);
        CHECK(code_of([&] { script_helper(dir, body).call("x", {}); }) == ErrorCode::Internal);
    }
    CHECK(code_of([&] { script_helper(dir, "exec sleep 1000").call("x", {}, {}, milliseconds{10}); }) ==
          ErrorCode::Internal);
    CHECK(code_of([] { HelperProgram{"/nonexistent/helper"}; }) == ErrorCode::NotFound);
}
