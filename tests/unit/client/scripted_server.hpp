// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/temp_dir.hpp"

namespace lxdcore::test {

/// A server on a unix socket that answers "METHOD /target" with what it was told, and remembers what it was asked.
/// One connection after another; anything else gets LXD's 404.
class ScriptedServer {
public:
    struct Asked {
        std::string method, target, head, body;
        nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
        bool has(const std::string& header) const { return head.find(header) != std::string::npos; }
    };

    ScriptedServer() {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 16) != 0)
            throw std::runtime_error{"listen"};
        thread_ = std::thread{[this] { serve(); }};
    }
    ~ScriptedServer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }

    std::string url() const { return "unix://" + path_; }
    /// A synchronous answer with this metadata.
    void on(const std::string& request, const nlohmann::json& metadata, const std::string& headers = {}) {
        reply(request, "200 OK", {{"type", "sync"}, {"status_code", 200}, {"metadata", metadata}}, headers);
    }
    /// An operation that has ended well.
    void on_operation(const std::string& request, const nlohmann::json& metadata = nullptr) {
        const nlohmann::json operation = {{"id", "11111111-1111-1111-1111-111111111111"},
                                          {"class", "task"},
                                          {"status", "Success"},
                                          {"status_code", 200},
                                          {"resources", nlohmann::json::object()},
                                          {"metadata", metadata},
                                          {"may_cancel", false},
                                          {"err", ""}};
        reply(request, "202 Accepted", {{"type", "async"}, {"status_code", 100}, {"metadata", operation}}, {});
        on("GET /1.0/operations/11111111-1111-1111-1111-111111111111/wait", operation);
        on("GET /1.0/operations/11111111-1111-1111-1111-111111111111/wait?timeout=-1", operation);
    }
    void on_file(const std::string& request, const std::string& content) {
        const std::lock_guard lock{mutex_};
        replies_[request] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
                            std::to_string(content.size()) + "\r\n\r\n" + content;
    }
    /// The last request that was not about an operation.
    Asked last() const {
        const std::lock_guard lock{mutex_};
        for (auto it = asked_.rbegin(); it != asked_.rend(); ++it)
            if (it->target.find("/operations/") == std::string::npos) return *it;
        return {};
    }

private:
    void reply(const std::string& request, const std::string& status, const nlohmann::json& body,
               const std::string& headers) {
        const auto text = body.dump();
        const std::lock_guard lock{mutex_};
        replies_[request] = "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + headers +
                            "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
    }
    void serve() {
        std::vector<std::thread> connections;
        for (int peer = 0; (peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
            connections.emplace_back([this, peer] { talk(peer); });
        for (auto& connection : connections)
            connection.join();
    }
    void talk(int peer) {
        std::string read;
        while (true) {
            while (read.find("\r\n\r\n") == std::string::npos)
                if (!more(peer, read)) return;
            const auto blank = read.find("\r\n\r\n");
            Asked asked;
            asked.head = read.substr(0, blank);
            read.erase(0, blank + 4);
            asked.method = asked.head.substr(0, asked.head.find(' '));
            const auto target = asked.method.size() + 1;
            asked.target = asked.head.substr(target, asked.head.find(' ', target) - target);
            if (!take_body(peer, asked, read)) return;
            const auto answer = remember(std::move(asked));
            if (::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) {
                ::close(peer);
                return;
            }
        }
    }
    static bool take_body(int peer, Asked& asked, std::string& read) {
        if (asked.has("chunked")) {
            while (true) {
                while (read.find("\r\n") == std::string::npos)
                    if (!more(peer, read)) return false;
                const auto size = std::stoul(read, nullptr, 16);
                read.erase(0, read.find("\r\n") + 2);
                while (read.size() < size + 2)
                    if (!more(peer, read)) return false;
                asked.body += read.substr(0, size);
                read.erase(0, size + 2);
                if (size == 0) return true;
            }
        }
        const auto length = asked.head.find("Content-Length: ");
        const auto size = length == std::string::npos ? 0 : std::stoul(asked.head.substr(length + 16));
        while (read.size() < size)
            if (!more(peer, read)) return false;
        asked.body = read.substr(0, size);
        read.erase(0, size);
        return true;
    }
    std::string remember(Asked asked) {
        const std::lock_guard lock{mutex_};
        const auto it = replies_.find(asked.method + " " + asked.target);
        asked_.push_back(std::move(asked));
        if (it != replies_.end()) return it->second;
        const std::string text = R"({"type":"error","error":"not found","error_code":404})";
        return "HTTP/1.1 404 Not Found\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
    }
    static bool more(int peer, std::string& read) {
        char piece[4096];
        const auto size = ::recv(peer, piece, sizeof piece, 0);
        if (size <= 0) {
            ::close(peer);
            return false;
        }
        read.append(piece, static_cast<std::size_t>(size));
        return true;
    }

    TempDir temp_;
    const std::string path_ = (temp_.path() / "s").string();
    int listener_ = -1;
    mutable std::mutex mutex_;
    std::map<std::string, std::string> replies_;
    std::vector<Asked> asked_;
    std::thread thread_;
};

} // namespace lxdcore::test
