// SPDX-License-Identifier: Apache-2.0
#include "fixture.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace lxdcore::test {

namespace {
constexpr int kPatienceMs = 10'000;
}

TempDir::TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "lxdcore-daemon-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
    path_ = name;
}

TempDir::~TempDir() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
}

TestDaemon::TestDaemon(daemon::Limits limits) {
    instances.operations = images.operations = operations.get();
    const auto sql = [](const std::string&, const std::string&) { return nlohmann::json::object(); };
    server = std::make_unique<daemon::Server>(
        daemon::Services{instances, images, profiles, networks, storage, volumes, settings, *operations, *events,
                         metadata, backups, volume_backups, snapshots, publishing, metrics, warnings, guests, sql},
        daemon::Server::Options{dir.path(), limits, [this] { asked_to_stop = true; }}, log);
    server->listen_local({.path = dir.path() / "unix.socket", .group = "", .inherited = -1});
}

TestDaemon::~TestDaemon() { server.reset(); }

RawClient::RawClient(const std::string& socket) : fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw_errno("connect");
}

RawClient::~RawClient() { ::close(fd_); }

bool RawClient::send(std::string_view text) {
    while (!text.empty()) {
        const auto done = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (done < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
}

std::string RawClient::receive_some() {
    if (!buffer_.empty()) return std::exchange(buffer_, {});
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) <= 0) throw Error{ErrorCode::Internal, "no answer in time"};
    char piece[64 * 1024];
    const auto size = ::recv(fd_, piece, sizeof piece, 0);
    return size <= 0 ? std::string{} : std::string(piece, static_cast<std::size_t>(size));
}

bool RawClient::closed() { return receive_some().empty(); }

Reply RawClient::receive(bool head_only) {
    Reply reply;
    std::string text;
    std::size_t end = 0;
    while ((end = text.find("\r\n\r\n")) == std::string::npos) {
        const auto more = receive_some();
        if (more.empty()) return reply;
        text += more;
    }
    reply.head = text.substr(0, end + 2);
    reply.status = std::atoi(reply.head.c_str() + sizeof "HTTP/1.1");
    reply.body = text.substr(end + 4);
    const auto at = reply.head.find("Content-Length: ");
    if (!head_only && reply.status >= 200 && reply.head.find("chunked") != std::string::npos) {
        while (reply.body.find("0\r\n\r\n") == std::string::npos) {
            const auto more = receive_some();
            if (more.empty()) break;
            reply.body += more;
        }
        return reply;
    }
    if (head_only || reply.status < 200 || at == std::string::npos) {
        buffer_ = std::exchange(reply.body, {});
        return reply;
    }
    const auto length = static_cast<std::size_t>(std::atoll(reply.head.c_str() + at + sizeof "Content-Length:"));
    while (reply.body.size() < length) {
        const auto more = receive_some();
        if (more.empty()) break;
        reply.body += more;
    }
    if (reply.body.size() > length) {
        buffer_ = reply.body.substr(length);
        reply.body.resize(length);
    }
    return reply;
}

Reply ask(const std::string& socket, const std::string& method, const std::string& target, const std::string& body,
          const std::string& headers) {
    RawClient client{socket};
    client.send(method + " " + target + " HTTP/1.1\r\nHost: l\r\n" + headers +
                (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body);
    return client.receive(method == "HEAD");
}

} // namespace lxdcore::test
