// SPDX-License-Identifier: Apache-2.0
#include "admin/api_client.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <limits>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::daemon {

namespace http = boost::beast::http;

namespace {

struct FdGuard {
    explicit FdGuard(int held) : fd{held} {}
    ~FdGuard() { ::close(fd); }
    FdGuard(const FdGuard&) = delete;
    FdGuard& operator=(const FdGuard&) = delete;
    const int fd;
};

void send_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto done = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (done < 0) throw_errno("send");
        text.remove_prefix(static_cast<std::size_t>(done));
    }
}

std::string receive(int fd) {
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::numeric_limits<std::uint64_t>::max()); // Beast 1.74 takes none for 0
    std::string pending;
    char piece[16 * 1024];
    while (!parser.is_done()) {
        const auto size = ::recv(fd, piece, sizeof piece, 0);
        boost::system::error_code ec;
        if (size < 0) throw Error{ErrorCode::Unavailable, fmt::format("no answer: {}", std::strerror(errno))};
        if (size == 0) {
            parser.put_eof(ec);
            if (ec) throw Error{ErrorCode::Unavailable, "the daemon closed the connection"};
            break;
        }
        pending.append(piece, static_cast<std::size_t>(size));
        while (!pending.empty() && !parser.is_done()) {
            const auto used = parser.put(boost::asio::buffer(pending), ec);
            pending.erase(0, used);
            if (ec == http::error::need_more || used == 0) break;
            if (ec) throw Error{ErrorCode::Internal, "bad answer: " + ec.message()};
        }
    }
    return parser.release().body();
}

} // namespace

std::filesystem::path state_dir() {
    const char* dir = std::getenv("LXD_DIR");
    return std::filesystem::absolute(dir != nullptr && *dir != '\0' ? dir : "/var/lib/lxd");
}

int ApiClient::connect() const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw_errno("socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // by descriptor, because sun_path is short
    const int place = ::open(socket_.c_str(), O_PATH | O_CLOEXEC);
    const auto name = fmt::format("/proc/self/fd/{}", place);
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    const bool good = place >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const int err = errno;
    if (place >= 0) ::close(place);
    if (good) return fd;
    ::close(fd);
    throw Error{ErrorCode::Unavailable, fmt::format("connect to {}: {}", socket_.string(), std::strerror(err))};
}

bool ApiClient::reachable() const {
    try {
        ::close(connect());
        return true;
    } catch (const Error&) {
        return false;
    }
}

nlohmann::json ApiClient::request(const std::string& method, const std::string& path, const nlohmann::json& body,
                                  std::chrono::seconds timeout) const {
    const FdGuard guard{connect()};
    const int fd = guard.fd;
    if (timeout.count() > 0) {
        const timeval limit{timeout.count(), 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    const auto text = body.is_null() ? std::string{} : body.dump();
    send_all(fd, fmt::format("{} {} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\nContent-Length: {}\r\n"
                             "Content-Type: application/json\r\n\r\n{}",
                             method, path, text.size(), text));
    const auto reply = nlohmann::json::parse(receive(fd), nullptr, false);
    if (!reply.is_object()) throw Error{ErrorCode::Internal, "bad answer from the daemon"};
    if (reply.value("type", "") != "error") return reply.value("metadata", nlohmann::json{});
    const auto error = reply.value("error", "");
    switch (reply.value("error_code", 0)) {
    case 404:
        throw Error{ErrorCode::NotFound, error};
    case 503:
        throw Error{ErrorCode::Unavailable, error};
    default:
        throw Error{ErrorCode::Internal, error};
    }
}

} // namespace lxdcore::daemon
