// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>

#include <future>

#include "fixture.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

const std::string kUpgrade = " HTTP/1.1\r\nHost: l\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

enum Opcode : unsigned char { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

/// A websocket client that writes its frames by hand.
class WsClient {
public:
    WsClient(const std::string& socket, const std::string& target) : raw_{socket} {
        raw_.send("GET " + target + kUpgrade);
        reply = raw_.receive();
    }
    Reply reply;
    struct Frame {
        int opcode = -1; ///< -1: the connection ended
        std::string data;
    };

    bool send(Opcode opcode, std::string_view data) {
        std::string frame{static_cast<char>(0x80 | opcode)};
        if (data.size() < 126) {
            frame += static_cast<char>(0x80 | data.size());
        } else {
            const bool is_short = data.size() < 65'536; // the shortest form is the only one that is allowed
            frame += static_cast<char>(0x80 | (is_short ? 126 : 127));
            for (int shift = is_short ? 8 : 56; shift >= 0; shift -= 8)
                frame += static_cast<char>(data.size() >> shift);
        }
        const std::string_view mask{"\x11\x22\x33\x44"};
        frame += mask;
        for (std::size_t i = 0; i < data.size(); ++i)
            frame += static_cast<char>(data[i] ^ mask[i % 4]);
        return raw_.send(frame);
    }
    Frame receive() {
        if (!need(2)) return {};
        const int opcode = pending_[0] & 15;
        std::size_t length = pending_[1] & 127, start = 2;
        const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (extra > 0) {
            if (!need(2 + extra)) return {};
            length = 0;
            for (std::size_t i = 0; i < extra; ++i)
                length = length << 8 | static_cast<unsigned char>(pending_[2 + i]);
            start += extra;
        }
        if (!need(start + length)) return {};
        Frame frame{opcode, pending_.substr(start, length)};
        pending_.erase(0, start + length);
        return frame;
    }
    RawClient& raw() { return raw_; }

private:
    bool need(std::size_t size) {
        while (pending_.size() < size) {
            const auto more = raw_.receive_some();
            if (more.empty()) return false;
            pending_ += more;
        }
        return true;
    }
    RawClient raw_;
    std::string pending_;
};

Caller me() {
    Caller caller;
    caller.username = ::getpwuid(::getuid())->pw_name;
    caller.protocol = "unix";
    return caller;
}

/// A websocket operation with one channel, whose other end the test plays.
struct Interactive {
    Interactive(TestDaemon& daemon, bool readable, bool writable, Caller caller = me()) {
        const CallerScope scope{std::move(caller)};
        OperationOptions options;
        options.klass = OperationClass::Websocket;
        handle = daemon.operations->create(options);
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        Channel channel;
        channel.fd = ends[0];
        channel.readable = readable;
        channel.writable = writable;
        channel.end_input = [state = state, fd = ends[0]] {
            ++state->ended; // first: the reader looks at it when it has seen the end
            if (!state->over) ::shutdown(fd, SHUT_WR);
        };
        channel.on_close = [state = state] { state->closed.set_value(); };
        channel.close_request = close_request;
        secret = handle->add_channel("0", channel, [] {});
        handle->run();
        url = "/1.0/operations/" + handle->operation()->id() + "/websocket?secret=" + secret;
    }
    ~Interactive() {
        state->over = true;
        handle->succeed();
        for (const int fd : ends)
            if (fd >= 0) ::close(fd);
    }
    bool wait_closed() {
        return state->closed.get_future().wait_for(std::chrono::seconds{10}) == std::future_status::ready;
    }

    std::shared_ptr<std::function<void()>> close_request = std::make_shared<std::function<void()>>();
    /// What the daemon may still report to when the operation has gone.
    struct State {
        std::promise<void> closed;
        std::atomic<int> ended = 0;
        std::atomic<bool> over = false;
    };
    std::shared_ptr<State> state = std::make_shared<State>();
    int ends[2] = {-1, -1};
    std::shared_ptr<OperationHandle> handle;
    std::string secret, url;
};

std::string read_to_end(int fd) {
    std::string all;
    char piece[8192];
    while (true) {
        const auto size = ::read(fd, piece, sizeof piece);
        if (size <= 0) return all;
        all.append(piece, static_cast<std::size_t>(size));
    }
}

} // namespace

TEST_CASE("output flows to the client and ends with an empty text frame") {
    TestDaemon daemon;
    Interactive work{daemon, true, false};
    WsClient client{daemon.socket(), work.url};
    REQUIRE(client.reply.status == 101);
    const std::string output(1'000'000, 'o');
    auto writer = std::async(std::launch::async, [&] {
        std::string_view rest = output;
        while (!rest.empty()) {
            const auto done = ::write(work.ends[1], rest.data(), rest.size());
            if (done <= 0) break;
            rest.remove_prefix(static_cast<std::size_t>(done));
        }
        ::shutdown(work.ends[1], SHUT_WR);
    });
    std::string got;
    WsClient::Frame frame;
    while ((frame = client.receive()).opcode == kBinary)
        got += frame.data;
    CHECK(got == output);
    CHECK(frame.opcode == kText);
    CHECK(frame.data.empty());
    CHECK(client.receive().opcode == kClose);
    client.send(kClose, "");
    CHECK(work.wait_closed());
    writer.get();
}

TEST_CASE("input flows to the command and an empty text frame ends it") {
    TestDaemon daemon;
    Interactive work{daemon, false, true};
    WsClient client{daemon.socket(), work.url};
    REQUIRE(client.reply.status == 101);
    const std::string input(1'000'000, 'i');
    auto reader = std::async(std::launch::async, [&] { return read_to_end(work.ends[1]); });
    for (std::size_t i = 0; i < input.size(); i += 100'000)
        client.send(kBinary, std::string_view{input}.substr(i, 100'000));
    client.send(kPing, "still there?");
    CHECK(client.receive().opcode == kPong);
    client.send(kText, "");
    CHECK(reader.get() == input);
    CHECK(work.state->ended == 1);
    // the command ends: the operation asks for the channel to be closed
    (*work.close_request)();
    CHECK(client.receive().opcode == kClose);
    client.send(kClose, "");
    CHECK(work.wait_closed());
}

TEST_CASE("input in frames of any size arrives whole and in order, up to its end") {
    TestDaemon daemon;
    Interactive work{daemon, false, true};
    WsClient client{daemon.socket(), work.url};
    REQUIRE(client.reply.status == 101);
    std::string input;
    for (std::size_t i = 0; input.size() < 3'000'000; ++i)
        input += static_cast<char>(i * 2654435761u >> 13);
    auto reader = std::async(std::launch::async, [&] { return read_to_end(work.ends[1]); });
    const std::size_t sizes[] = {1, 0, 4096, 125, 4083, 65'536, 7, 131'072, 300'000};
    for (std::size_t at = 0, i = 0; at < input.size(); ++i) {
        const auto piece = std::string_view{input}.substr(at, sizes[i % std::size(sizes)]);
        client.send(kBinary, piece);
        at += piece.size();
    }
    client.send(kText, "");
    client.send(kBinary, "late"); // dropped
    CHECK(reader.get() == input);
    CHECK(work.state->ended == 1);
}

TEST_CASE("both directions of a terminal work at once") {
    TestDaemon daemon;
    Interactive work{daemon, true, true};
    WsClient client{daemon.socket(), work.url};
    REQUIRE(client.reply.status == 101);
    client.send(kBinary, "ls\n");
    char line[3];
    REQUIRE(::recv(work.ends[1], line, 3, MSG_WAITALL) == 3);
    CHECK(std::string_view{line, 3} == "ls\n");
    REQUIRE(::write(work.ends[1], "a b\n", 4) == 4);
    CHECK(client.receive().data == "a b\n");
}

TEST_CASE("a peer that vanishes ends the command's input and is reported") {
    TestDaemon daemon;
    Interactive work{daemon, true, true};
    {
        WsClient client{daemon.socket(), work.url};
        REQUIRE(client.reply.status == 101);
        client.send(kBinary, "half");
    }
    CHECK(read_to_end(work.ends[1]) == "half");
    CHECK(work.wait_closed());
}

TEST_CASE("a peer that only writes, or reads late, is kept and never pinged") {
    daemon::Limits limits;
    limits.ping = std::chrono::milliseconds{20};
    TestDaemon daemon{limits};
    for (const bool output : {false, true}) {
        Interactive work{daemon, output, true};
        WsClient client{daemon.socket(), work.url};
        REQUIRE(client.reply.status == 101);
        std::this_thread::sleep_for(8 * limits.ping);
        client.send(kBinary, "still");
        client.send(kText, "");
        CHECK(read_to_end(work.ends[1]) == "still");
        if (output) {
            REQUIRE(::write(work.ends[1], "late", 4) == 4);
            CHECK(client.receive().data == "late"); // the first frame of all
        }
    }
}

TEST_CASE("a listener that answers no pings is given up") {
    daemon::Limits limits;
    limits.ping = std::chrono::milliseconds{100};
    TestDaemon daemon{limits};
    WsClient client{daemon.socket(), "/1.0/events?type=lifecycle"};
    REQUIRE(client.reply.status == 101);
    while (daemon.events->wanted("lifecycle"))
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

TEST_CASE("a channel opens once, for its secret, to who started the operation") {
    TestDaemon daemon;
    Interactive work{daemon, true, true};
    const auto connect = [&](const std::string& url) {
        WsClient client{daemon.socket(), url};
        return client.reply;
    };
    const auto base = work.url.substr(0, work.url.find('?'));
    CHECK(connect(base).error() == "missing secret");
    const auto wrong = connect(base + "?secret=" + std::string(64, '0'));
    CHECK(wrong.status == 500);
    CHECK(wrong.error() == "permission denied");
    CHECK(connect("/1.0/operations/none/websocket?secret=x").status == 404);
    WsClient first{daemon.socket(), work.url};
    CHECK(first.reply.status == 101);
    CHECK(connect(work.url).error() == "Websocket number already connected");
    Caller other;
    other.username = "somebody-else";
    Interactive foreign{daemon, true, true, other};
    CHECK(connect(foreign.url).status == 403);
    CHECK(connect("/1.0/operations/none/websocket").status == 400);
}

TEST_CASE("events reach the client from the moment it is connected") {
    TestDaemon daemon;
    WsClient client{daemon.socket(), "/1.0/events?type=lifecycle"};
    REQUIRE(client.reply.status == 101);
    for (int i = 0; i < 100; ++i)
        daemon.events->lifecycle("default", "instance-started", "/1.0/instances/c" + std::to_string(i));
    for (int i = 0; i < 100; ++i) {
        const auto frame = client.receive();
        REQUIRE(frame.opcode == kText);
        const auto event = nlohmann::json::parse(frame.data);
        CHECK(event["metadata"]["source"] == "/1.0/instances/c" + std::to_string(i));
    }
    client.send(kClose, "");
    while (daemon.events->wanted("lifecycle"))
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

TEST_CASE("bad event requests are refused with LXD's words") {
    TestDaemon daemon;
    CHECK(ask(daemon.socket(), "GET", "/1.0/events?type=foo").error() == "\"foo\" isn't a supported event type");
    CHECK(ask(daemon.socket(), "GET", "/1.0/events?project=p&all-projects=1").error() ==
          "Cannot specify a project when requesting all projects");
    CHECK(ask(daemon.socket(), "GET", "/1.0/events").body == "Bad Request\n");
}

TEST_CASE("waiting for an operation ends with it, or with its time") {
    TestDaemon daemon;
    std::promise<void> go;
    const CallerScope scope{me()};
    const auto operation = daemon.operations->start({}, [&](OperationContext&) { go.get_future().wait(); });
    const auto url = "/1.0/operations/" + operation->id() + "/wait";
    CHECK(ask(daemon.socket(), "GET", url + "?timeout=0").json()["metadata"]["status"] == "Running");
    CHECK(ask(daemon.socket(), "GET", url + "?timeout=x").status == 400);
    auto waiting = std::async(std::launch::async, [&] { return ask(daemon.socket(), "GET", url); });
    go.set_value();
    CHECK(waiting.get().json()["metadata"]["status"] == "Success");
    CHECK(ask(daemon.socket(), "GET", "/1.0/operations/none").error() == "Operation not found");
}
