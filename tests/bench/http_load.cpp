// SPDX-License-Identifier: Apache-2.0
// A load generator small enough not to be what is measured.
//   http_load get SOCKET PATH SECONDS          GETs on one keep-alive connection: requests per second
//   http_load time SOCKET METHOD PATH [BODY]   one request, waits for its operation: milliseconds
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

class Connection {
public:
    explicit Connection(const std::string& path) : fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            throw std::runtime_error{"connect " + path};
        }
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { ::close(fd_); }

    /// The body of the reply; `status` is the number in its first line.
    std::string request(const std::string& text, int& status) {
        if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
            throw std::runtime_error{"write"};
        }
        while (buffer_.find("\r\n\r\n") == std::string::npos)
            fill();
        const auto end = buffer_.find("\r\n\r\n") + 4;
        const std::string head = buffer_.substr(0, end);
        buffer_.erase(0, end);
        status = std::atoi(head.c_str() + 9);
        if (const auto at = find_header(head, "content-length:"); at != std::string::npos) {
            return take(std::strtoul(head.c_str() + at, nullptr, 10));
        }
        return chunked();
    }

private:
    static std::string::size_type find_header(std::string head, const std::string& name) {
        for (char& c : head)
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        const auto at = head.find("\r\n" + name);
        return at == std::string::npos ? at : at + 2 + name.size();
    }
    void fill() {
        char part[65536];
        const auto got = ::read(fd_, part, sizeof part);
        if (got <= 0) throw std::runtime_error{"connection closed"};
        buffer_.append(part, static_cast<std::size_t>(got));
    }
    std::string take(std::size_t size) {
        while (buffer_.size() < size)
            fill();
        std::string part = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return part;
    }
    std::string chunked() {
        std::string body;
        for (;;) {
            while (buffer_.find("\r\n") == std::string::npos)
                fill();
            const auto size = std::strtoul(buffer_.c_str(), nullptr, 16);
            buffer_.erase(0, buffer_.find("\r\n") + 2);
            body += take(size);
            take(2);
            if (size == 0) return body;
        }
    }

    int fd_;
    std::string buffer_;
};

std::string message(const std::string& method, const std::string& path, const std::string& body) {
    std::string text = method + " " + path + " HTTP/1.1\r\nHost: lxd\r\n";
    if (!body.empty()) {
        text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return text + "\r\n" + body;
}

int load(const std::string& socket, const std::string& path, double seconds) {
    Connection connection{socket};
    const auto text = message("GET", path, "");
    const auto start = Clock::now();
    long count = 0;
    double passed = 0;
    while (passed < seconds) {
        int status = 0;
        connection.request(text, status);
        if (status != 200) throw std::runtime_error{"status " + std::to_string(status)};
        ++count;
        passed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    std::printf("%.1f\n", static_cast<double>(count) / passed);
    return 0;
}

int time_one(const std::string& socket, const std::string& method, const std::string& path, const std::string& body) {
    Connection connection{socket};
    const auto start = Clock::now();
    int status = 0;
    auto reply = connection.request(message(method, path, body), status);
    if (status == 202) {
        const std::string mark = "\"operation\":\"";
        const auto at = reply.find(mark) + mark.size();
        const auto operation = reply.substr(at, reply.find('"', at) - at);
        reply = connection.request(message("GET", operation + "/wait", ""), status);
        if (reply.find("\"status\":\"Success\"", reply.find("\"metadata\"")) == std::string::npos) {
            throw std::runtime_error{reply};
        }
    }
    if (status >= 400) throw std::runtime_error{reply};
    std::printf("%.3f\n", std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    return 0;
}

} // namespace

int main(int argc, char** argv) try {
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "get" && argc == 5) return load(argv[2], argv[3], std::atof(argv[4]));
    if (verb == "time" && (argc == 5 || argc == 6))
        return time_one(argv[2], argv[3], argv[4], argc == 6 ? argv[5] : "");
    std::fputs("http_load get SOCKET PATH SECONDS | time SOCKET METHOD PATH [BODY]\n", stderr);
    return 2;
} catch (const std::exception& error) {
    std::fprintf(stderr, "http_load: %s\n", error.what());
    return 1;
}
