// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "guest_sandbox.hpp"

using namespace lxdcore;
using lxdcore::test::GuestFixture;

namespace {

std::string status_field(GuestFixture& guest, const std::string& name) {
    return guest.shell("grep '^" + name + ":' /proc/self/status | cut -f2");
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator begin{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator{}));
}

/// Reads to the end of the stream.
std::string drain(int fd) {
    std::string text;
    char block[4096];
    for (ssize_t n; (n = ::read(fd, block, sizeof block)) > 0;)
        text.append(block, static_cast<std::size_t>(n));
    return text;
}

} // namespace

TEST_CASE("a command sees its three streams and nothing else of the host") {
    GuestFixture guest;
    CHECK(guest.shell("ls /proc/self/fd | tr '\\n' ' '") == "0 1 2 3 "); // 3 is the directory that ls reads
    CHECK(guest.shell("ls -l /proc/self/fd").find("lxdcore") == std::string::npos);
}

TEST_CASE("a command has no inherited capabilities, groups or ids of the host") {
    GuestFixture guest;
    CHECK(status_field(guest, "CapInh") == "0000000000000000\n");
    CHECK(status_field(guest, "CapAmb") == "0000000000000000\n");
    CHECK(guest.shell("grep '^Groups:' /proc/self/status | tr -d '\\t '") == "Groups:\n");
    CHECK(guest.shell("id -u; id -g") == "0\n0\n");
}

TEST_CASE("a command of another user has no capabilities at all") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"grep", "^CapEff:", "/proc/self/status"};
    request.user = 1000;
    request.group = 100;
    CHECK(guest.run(request) == "CapEff:\t0000000000000000\n");
    request.command = {"sh", "-c", "id -u; id -g"};
    CHECK(guest.run(request) == "1000\n100\n");
}

TEST_CASE("a working directory that is a magic link into the helper is refused") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"pwd"};
    for (int fd = 3; fd <= 20; ++fd) {
        request.cwd = "/proc/self/fd/" + std::to_string(fd);
        CHECK(guest.run(request) == "/\n");
    }
    request.cwd = "/proc/self/cwd";
    CHECK(guest.run(request) == "/\n");
    request.cwd = "/usr";
    CHECK(guest.run(request) == "/usr\n");
}

TEST_CASE("a script whose interpreter is the helper itself cannot change the helper") {
    GuestFixture guest;
    const std::string helper = std::getenv("LXDCORE_HELPER");
    const auto before = test::read_file(helper);
    const auto script = guest.sandbox().dir() / "self";
    test::write_file(script, "#!/proc/self/exe\n");
    std::filesystem::permissions(script, std::filesystem::perms{0755});
    api::InstanceExecPost request;
    request.command = {script};
    int code = 0;
    guest.run(request, &code);
    CHECK(code != 0);
    CHECK(guest.shell("for p in /proc/[0-9]*; do echo x > $p/exe; done 2>/dev/null; echo done") == "done\n");
    CHECK(test::read_file(helper) == before);
    CHECK(guest.shell("echo still works") == "still works\n");
}

TEST_CASE("exit codes are those of the command, of its signal, or tell why it did not run") {
    GuestFixture guest;
    int code = 0;
    guest.shell("exit 7", &code);
    CHECK(code == 7);
    guest.shell("kill -9 $$", &code);
    CHECK(code == 137);
    api::InstanceExecPost request;
    request.command = {"no-such-command"};
    const auto absent = guest.access().exec(guest.sandbox().running(), request);
    REQUIRE(absent->wait(std::chrono::seconds{30}));
    CHECK(absent->error() == "Command not found");
    CHECK(absent->to_json().at("metadata").at("return") == 127);
    request.command = {"/etc/passwd"};
    const auto refused = guest.access().exec(guest.sandbox().running(), request);
    REQUIRE(refused->wait(std::chrono::seconds{30}));
    CHECK(refused->error() == "Command not executable");
    CHECK(refused->to_json().at("metadata").at("return") == 126);
}

TEST_CASE("a terminal is one of the guest and takes input, size and its end") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"sh", "-c", "tty; stty size; read line; echo got $line"};
    request.wait_for_websocket = request.interactive = true;
    request.width = 91;
    request.height = 17;
    const auto operation = guest.access().exec(guest.sandbox().running(), request);
    const auto fds = operation->to_json(true).at("metadata").at("fds");
    const auto channel = operation->connect(fds.at("0"));
    const auto control = operation->connect(fds.at("control"));
    CHECK(control.on_message);
    const UniqueFd mine{::fcntl(channel.fd, F_DUPFD_CLOEXEC, 3)};
    REQUIRE(::write(mine.get(), "hello\n", 6) == 6);
    const auto text = drain(mine.get());
    CHECK(text.find("/dev/pts/") != std::string::npos);
    CHECK(text.find("17 91") != std::string::npos);
    CHECK(text.find("got hello") != std::string::npos);
    REQUIRE(operation->wait(std::chrono::seconds{30}));
    CHECK(operation->to_json().at("metadata").at("return") == 0);
}

TEST_CASE("separate streams arrive complete, and input ends the command") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"sh", "-c", "wc -c; echo oops >&2; head -c 3000000 /dev/zero"};
    request.wait_for_websocket = true;
    const auto operation = guest.access().exec(guest.sandbox().running(), request);
    const auto fds = operation->to_json(true).at("metadata").at("fds");
    const auto in = operation->connect(fds.at("0"));
    const auto out = operation->connect(fds.at("1"));
    const auto err = operation->connect(fds.at("2"));
    const UniqueFd out_fd{::fcntl(out.fd, F_DUPFD_CLOEXEC, 3)}, err_fd{::fcntl(err.fd, F_DUPFD_CLOEXEC, 3)};
    REQUIRE(::write(in.fd, "12345", 5) == 5);
    in.end_input();
    const auto text = drain(out_fd.get());
    CHECK(text.starts_with("5\n"));
    CHECK(text.size() == 3000002);
    CHECK(drain(err_fd.get()) == "oops\n");
    CHECK(operation->wait(std::chrono::seconds{30}));
}

TEST_CASE("a client that loses its control channel ends the command") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"sleep", "1000"};
    request.wait_for_websocket = request.interactive = true;
    const auto operation = guest.access().exec(guest.sandbox().running(), request);
    const auto fds = operation->to_json(true).at("metadata").at("fds");
    const auto channel = operation->connect(fds.at("0"));
    const auto control = operation->connect(fds.at("control"));
    ::usleep(300'000); // let it run, so that a running command is what ends
    control.on_close();
    channel.on_close();
    CHECK(operation->wait(std::chrono::seconds{30}));
}

TEST_CASE("a command whose client never connects fails and runs nothing") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"touch", guest.sandbox().dir() / "ran"};
    request.wait_for_websocket = true;
    const auto operation = guest.access().exec(guest.sandbox().running(), request);
    REQUIRE(operation->wait(std::chrono::seconds{30}));
    CHECK(operation->error() == "Timed out waiting for websockets to connect");
    CHECK_FALSE(std::filesystem::exists(guest.sandbox().dir() / "ran"));
}

TEST_CASE("recorded output has a bound on disk") {
    GuestFixture guest;
    const auto text = guest.shell("head -c 80000000 /dev/zero");
    CHECK(text.size() == 64u << 20);
}

TEST_CASE("a command that leaves a process behind ends all the same") {
    GuestFixture guest;
    CHECK(guest.shell("sleep 1000 & echo ready") == "ready\n");
}

TEST_CASE("what runs for an instance ends when the instance is forgotten") {
    GuestFixture guest;
    api::InstanceExecPost request;
    request.command = {"sleep", "1000"};
    const auto operation = guest.access().exec(guest.sandbox().running(), request);
    ::usleep(300'000);
    guest.access().forget(guest.sandbox().running().ref);
    CHECK(operation->wait(std::chrono::seconds{30}));
}

TEST_CASE("a storm of commands leaves no descriptor and no child") {
    GuestFixture guest;
    guest.shell("true");
    const auto before = open_descriptors();
    std::vector<OperationPtr> running;
    api::InstanceExecPost request;
    request.command = {"true"};
    for (int i = 0; i < 50; ++i)
        running.push_back(guest.access().exec(guest.sandbox().running(), request));
    for (const auto& operation : running) {
        REQUIRE(operation->wait(std::chrono::seconds{60}));
        CHECK(operation->to_json().at("metadata").at("return") == 0);
    }
    running.clear();
    for (int i = 0; i < 100 && open_descriptors() > before; ++i)
        ::usleep(50'000);
    CHECK(open_descriptors() <= before);
    const auto self = std::to_string(::getpid());
    const auto children = test::read_file("/proc/" + self + "/task/" + self + "/children");
    CHECK(std::count(children.begin(), children.end(), ' ') == 1); // the sandbox
}
