// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "util/reactor.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::instance {

/// Moves bytes from one descriptor to another as fast as both allow, with one bounded buffer. Both become non-blocking.
/// Lives on the reactor's thread: start, finish and destroy it there.
class Relay {
public:
    /// @p limit: bytes beyond are read and dropped; 0: none. @p ended is called once, when all was moved or the writing
    /// side is gone; not after stop().
    Relay(Reactor& reactor, UniqueFd from, UniqueFd to, std::uint64_t limit, std::function<void()> ended);
    ~Relay() { stop(); }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;
    void start();
    void finish(); ///< the producer has ended: what can be read now is the rest
    void stop();   ///< no more callbacks
    bool ended() const noexcept { return ended_; }

private:
    enum class Wait { None, Input, Output };
    void pump();
    bool fill();  ///< false: nothing to do until the input is ready, or the end
    bool flush(); ///< false: the output is full, or gone
    void wait_for(Wait what);
    void end();

    Reactor& reactor_;
    UniqueFd from_, to_;
    std::uint64_t limit_, moved_ = 0, rest_ = 0;
    bool to_socket_;
    std::function<void()> on_end_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;
    Wait wait_ = Wait::None;
    Reactor::Token token_ = 0;
    bool finishing_ = false, input_done_ = false, ended_ = false;
};

} // namespace lxdcore::instance
