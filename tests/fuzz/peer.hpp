// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>

#include <boost/asio/co_spawn.hpp>

#include "fuzz/fuzz.hpp"
#include "http/io_threads.hpp"
#include "http/limits.hpp"
#include "http/stream.hpp"

namespace lxdcore::fuzz {

/// Bounds in which only the input decides: a fuzzer on a busy machine may not get a processor for seconds.
inline daemon::Limits patient_limits() {
    constexpr std::chrono::hours kLong{1};
    daemon::Limits limits;
    limits.header = limits.handshake = limits.idle = limits.body = limits.json_body = limits.write = limits.ping =
        kLong;
    return limits;
}

/// The other end of a connection: sends an input in pieces, whenever ours waits for more, then closes. Takes what
/// comes.
class Peer {
public:
    explicit Peer(std::string_view input) : input_{input}, piece_{1 + input.size() % 1021} {
        require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_) == 0);
    }
    ~Peer() { ::close(ends_[0]); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    daemon::Stream stream(boost::asio::io_context& io) {
        return daemon::Stream{daemon::Socket{io, boost::asio::generic::stream_protocol{AF_UNIX, 0}, ends_[1]}};
    }

    /// Runs @p work to its end. What it throws is a finding.
    void drive(boost::asio::io_context& io, daemon::Awaitable<void> work) {
        bool done = false;
        boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr failure) {
            require(!failure);
            done = true;
        });
        while (!done) {
            if (io.poll() > 0) continue;
            if (take() || give()) continue;
            io.run_one();
        }
    }
    const std::string& received() const { return received_; }

private:
    bool take() {
        char piece[16 * 1024];
        const auto size = ::recv(ends_[0], piece, sizeof piece, 0);
        if (size > 0) received_.append(piece, static_cast<std::size_t>(size));
        return size > 0;
    }
    bool give() {
        if (ended_) return false;
        const auto size = std::min(piece_, input_.size());
        const auto sent = size > 0 ? ::send(ends_[0], input_.data(), size, MSG_NOSIGNAL) : 0;
        if (sent > 0) {
            input_.remove_prefix(static_cast<std::size_t>(sent));
            return true;
        }
        ::shutdown(ends_[0], SHUT_WR);
        ended_ = true;
        return true;
    }

    std::string_view input_;
    std::size_t piece_;
    std::string received_;
    int ends_[2]{-1, -1};
    bool ended_ = false;
};

} // namespace lxdcore::fuzz
