// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>

#include "http/stream.hpp"

namespace lxdcore::daemon {

/// A Stream that reads more than it is asked for, once enable() was called. Clients send large inputs in frames of 4
/// KiB, and a websocket reads a header and a payload for each: from memory this costs little. Thread-bound like Stream.
class ReadAhead {
public:
    using executor_type = Executor;
    explicit ReadAhead(Stream stream) : stream_{std::move(stream)} {}

    executor_type get_executor() noexcept { return stream_.get_executor(); }
    void close() noexcept { stream_.close(); }
    Stream& stream() noexcept { return stream_; }

    void enable(std::size_t size) {
        if (block_) return;
        block_ = std::make_unique_for_overwrite<char[]>(size);
        size_ = size;
    }
    /// Bytes that are here and were not asked for yet.
    std::size_t waiting() const noexcept { return end_ - begin_; }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, asio::mutable_buffer buffer) {
                read_some(buffer, IoHandler{std::forward<decltype(handler)>(handler), get_executor()});
            },
            token, Stream::first_of<asio::mutable_buffer>(buffers));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return stream_.async_write_some(buffers, std::forward<Token>(token));
    }

private:
    std::size_t take(asio::mutable_buffer into) noexcept {
        const auto size = std::min(into.size(), waiting());
        std::memcpy(into.data(), block_.get() + begin_, size);
        begin_ += size;
        return size;
    }
    void read_some(asio::mutable_buffer buffer, IoHandler handler);

    Stream stream_;
    std::unique_ptr<char[]> block_;
    std::size_t size_ = 0, begin_ = 0, end_ = 0;
};

// What Beast's websocket asks of a stream at the end of a connection, found by argument-dependent lookup.
void teardown(boost::beast::role_type role, ReadAhead& stream, error_code& ec);
void beast_close_socket(ReadAhead& stream);
template <class Handler>
void async_teardown(boost::beast::role_type role, ReadAhead& stream, Handler&& handler) {
    error_code ec;
    teardown(role, stream, ec);
    asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler), ec]() mutable { handler(ec); });
}

} // namespace lxdcore::daemon
