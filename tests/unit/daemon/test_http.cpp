// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <deque>

#include "fixture.hpp"

using namespace lxdcore;
using namespace lxdcore::test;

namespace {

const std::string kHost = "Host: l\r\n";

daemon::Limits hasty() {
    daemon::Limits limits;
    limits.header = limits.body = std::chrono::milliseconds{300};
    limits.idle = std::chrono::milliseconds{700};
    limits.linger = std::chrono::milliseconds{300};
    return limits;
}

} // namespace

TEST_CASE("the local socket is never open to others") {
    TestDaemon daemon;
    struct stat info {};
    REQUIRE(::stat(daemon.socket().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    int left = 0;
    for (const auto& entry : std::filesystem::directory_iterator{daemon.dir.path()})
        left += entry.path() != daemon.socket();
    CHECK(left == 0);
}

TEST_CASE("ambiguous or malformed framing is refused and the connection closed") {
    TestDaemon daemon;
    const std::string post = "POST /1.0/profiles HTTP/1.1\r\n" + kHost;
    for (const auto& text : {
             post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
             post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
             post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
             post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
             post + "Content-Length: 2, 2\r\n\r\n{}",
             post + "Content-Length: -1\r\n\r\n{}",
             post + "Content-Length: +2\r\n\r\n{}",
             post + "Content-Length: 99999999999999999999999\r\n\r\n{}",
             post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
             post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
             post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
             post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             std::string{"GET /1.0 HTTP/1.1\r\n\r\n"},
             "GET /1.0 HTTP/1.1\r\n" + kHost + kHost + "\r\n",
             "GET  /1.0 HTTP/1.1\r\n" + kHost + "\r\n",
             "GET /1.0 HTTP/1.1\r\n" + kHost + "Bad Name: x\r\n\r\n",
             "GET /1.0 HTTP/1.1\r\n" + kHost + std::string{"X: a\0b\r\n\r\n", 10},
             "GET /1.0?filter=%ff HTTP/1.1\r\n" + kHost + "\r\n",
             std::string{"\x16\x03\x01 hello\r\n\r\n"},
         }) {
        CAPTURE(text);
        RawClient client{daemon.socket()};
        client.send(text);
        const auto reply = client.receive();
        CHECK(reply.status == 400);
        CHECK(reply.head.find("Connection: close") != std::string::npos);
        CHECK(client.closed());
    }
    CHECK(daemon.profiles.calls == 0);
    CHECK(ask(daemon.socket(), "GET", "/1.0").status == 200);
}

TEST_CASE("a header block over 64 KiB is refused") {
    TestDaemon daemon;
    RawClient client{daemon.socket()};
    client.send("GET /1.0 HTTP/1.1\r\n" + kHost + "X: " + std::string(70 * 1024, 'x') + "\r\n\r\n");
    CHECK(client.receive().status == 431);
}

TEST_CASE("one connection serves many requests, pipelined ones too") {
    TestDaemon daemon;
    RawClient client{daemon.socket()};
    for (int i = 0; i < 50; ++i) {
        client.send("GET /1.0 HTTP/1.1\r\n" + kHost + "\r\n");
        CHECK(client.receive().json()["metadata"]["auth"] == "trusted");
    }
    client.send("GET /1.0 HTTP/1.1\r\n" + kHost + "\r\nGET /nope HTTP/1.1\r\n" + kHost + "\r\n");
    CHECK(client.receive().status == 200);
    CHECK(client.receive().status == 404);
    client.send("GET /1.0 HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n");
    CHECK(client.receive().status == 200);
    CHECK(client.closed());
}

TEST_CASE("a body on GET is read and ignored") {
    TestDaemon daemon;
    RawClient client{daemon.socket()};
    for (int i = 0; i < 3; ++i) {
        client.send("GET /1.0 HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\n\r\n{}\n");
        CHECK(client.receive().status == 200);
    }
}

TEST_CASE("bodies may be chunked and are asked for with 100-continue") {
    TestDaemon daemon;
    RawClient client{daemon.socket()};
    const std::string post = "POST /1.0/profiles HTTP/1.1\r\n" + kHost;
    client.send(post + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"nam\r\n7;ext=1\r\ne\":\"p\"}\r\n0\r\n\r\n");
    CHECK(client.receive().status == 201);
    client.send(post + "Expect: 100-continue\r\nContent-Length: 12\r\n\r\n");
    CHECK(client.receive().status == 100);
    client.send("{\"name\":\"p\"}");
    CHECK(client.receive().status == 201);
    CHECK(daemon.profiles.calls == 2);
}

TEST_CASE("JSON bodies have bounds") {
    TestDaemon daemon;
    const auto post = [&](const std::string& body) {
        return ask(daemon.socket(), "POST", "/1.0/profiles", body).status;
    };
    CHECK(post("{\"name\":\"" + std::string(16 * 1024 * 1024, 'x') + "\"}") == 413);
    CHECK(post(std::string(200, '[') + std::string(200, ']')) == 400);
    CHECK(post("{\"name\":\"p\"} x") == 400);
    CHECK(post("{\"name\":\"\xff\"}") == 400);
    CHECK(post("{\"name\":5}") == 400);
    CHECK(post("{") == 400);
    CHECK(ask(daemon.socket(), "POST", "/1.0/profiles").error() == "EOF");
    CHECK(daemon.profiles.calls == 0);
}

TEST_CASE("an announced huge body is refused without being read") {
    TestDaemon daemon;
    RawClient client{daemon.socket()};
    client.send("POST /1.0/profiles HTTP/1.1\r\n" + kHost + "Content-Length: 1073741824\r\n\r\n{");
    CHECK(client.receive().status == 413);
    RawClient refused{daemon.socket()};
    refused.send("POST /1.0/profiles HTTP/1.1\r\n" + kHost +
                 "Sec-Fetch-Site: cross-site\r\nContent-Length: 1073741824\r\n\r\n{");
    const auto reply = refused.receive();
    CHECK(reply.status == 403);
    CHECK(reply.head.find("Connection: close") != std::string::npos);
}

TEST_CASE("what another web site makes a browser send is refused") {
    TestDaemon daemon;
    const auto patch = [&](const std::string& headers) {
        return ask(daemon.socket(), "PATCH", "/1.0", "{}", headers).status;
    };
    CHECK(patch("") == 200);
    CHECK(patch("Sec-Fetch-Site: same-origin\r\nOrigin: https://l\r\n") == 200);
    CHECK(patch("Sec-Fetch-Site: none\r\n") == 200);
    CHECK(patch("Origin: ws+unix://%2Fvar%2Flib%2Flxd%2Funix.socket\r\n") == 200);
    CHECK(patch("Sec-Fetch-Site: cross-site\r\n") == 403);
    CHECK(patch("Sec-Fetch-Site: same-site\r\n") == 403);
    CHECK(patch("Origin: https://evil.example\r\n") == 403);
    CHECK(patch("Origin: null\r\n") == 403);
    CHECK(patch("Origin: https://l.evil.example\r\n") == 403);
    CHECK(patch("Origin: https://l\r\nOrigin: https://evil.example\r\n") == 403);
    const auto get = [&](const std::string& headers) {
        return ask(daemon.socket(), "GET", "/1.0", "", headers).status;
    };
    CHECK(get("Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n") == 200);
    const std::string upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const auto events = [&](const std::string& headers) {
        return ask(daemon.socket(), "GET", "/1.0/events", "", upgrade + headers).status;
    };
    CHECK(events("") == 101);
    CHECK(events("Origin: http://l\r\n") == 101);
    CHECK(events("Origin: ws+unix://x\r\n") == 101);
    CHECK(events("Origin: https://evil.example\r\n") == 403);
}

TEST_CASE("slow and silent clients are closed while others are served") {
    TestDaemon daemon{hasty()};
    std::deque<RawClient> slow;
    for (int i = 0; i < 200; ++i) {
        slow.emplace_back(daemon.socket());
        slow.back().send(i % 2 == 0 ? "GET /1.0 HTTP/1.1\r\nHo" : "");
    }
    for (int i = 0; i < 20; ++i)
        CHECK(ask(daemon.socket(), "GET", "/1.0").status == 200);
    for (auto& client : slow)
        CHECK(client.closed());
    RawClient stuck{daemon.socket()};
    stuck.send("POST /1.0/profiles HTTP/1.1\r\n" + kHost + "Content-Length: 10\r\n\r\n{");
    CHECK(stuck.receive().status != 201);
    CHECK(daemon.profiles.calls == 0);
}

TEST_CASE("an answer larger than the socket takes waits for its reader") {
    TestDaemon daemon;
    daemon.instances.note = std::string(5'000'000, 'n');
    RawClient client{daemon.socket()};
    const std::string get = "GET /1.0/instances/c1 HTTP/1.1\r\n" + kHost + "\r\n";
    client.send(get + get);
    for (int i = 0; i < 20; ++i)
        CHECK(ask(daemon.socket(), "GET", "/1.0").status == 200);
    for (int i = 0; i < 2; ++i)
        CHECK(client.receive().json()["metadata"]["config"]["user.k"] == daemon.instances.note);
}

TEST_CASE("a file is pushed whole or not at all") {
    TestDaemon daemon;
    const std::string content(3'000'000, 'z');
    CHECK(ask(daemon.socket(), "POST", "/1.0/instances/c1/files?path=/f", content).status == 200);
    CHECK(daemon.instances.pushed == content);
    {
        RawClient vanishing{daemon.socket()};
        vanishing.send("POST /1.0/instances/c1/files?path=/g HTTP/1.1\r\n" + kHost + "Content-Length: 500000\r\n\r\n" +
                       std::string(1000, 'y'));
    }
    CHECK(ask(daemon.socket(), "POST", "/1.0/instances/c1/files?path=/h", "small").status == 200);
    CHECK(daemon.instances.pushed == "small");
    CHECK(ask(daemon.socket(), "POST", "/1.0/instances/c1/files", "x").error() == "Missing path argument");
    CHECK(ask(daemon.socket(), "POST", "/1.0/instances/c1/files?path=/f", "x", "X-LXD-type: foo\r\n").error() ==
          "Bad file type: foo");
}

TEST_CASE("a file is pulled with its headers") {
    TestDaemon daemon;
    const auto reply = ask(daemon.socket(), "GET", "/1.0/instances/c1/files?path=/d/f");
    CHECK(reply.body.find("content") != std::string::npos);
    CHECK(reply.head.find("X-LXD-mode: 0644") != std::string::npos);
    CHECK(reply.head.find("Content-Disposition: inline;filename=f") != std::string::npos);
    CHECK(ask(daemon.socket(), "GET", "/1.0/instances/c1/files?path=/dir").json()["metadata"] ==
          nlohmann::json::array({"a", "b"}));
    CHECK(ask(daemon.socket(), "GET", "/1.0/instances/c1/files?path=/gone").error() == "Not Found");
    const auto head = ask(daemon.socket(), "HEAD", "/1.0/instances/c1/files?path=/f");
    CHECK(head.status == 200);
    CHECK(head.head.find("X-LXD-type: file") != std::string::npos);
}
