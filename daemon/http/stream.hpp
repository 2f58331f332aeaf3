// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include <boost/beast/core/role.hpp>

#include "http/asio.hpp"

namespace boost::asio::ssl {
class context;
}

namespace lxdcore::daemon {

/// A completion handler whose type is forgotten, so that sockets, TLS and Beast are instantiated once instead of once
/// per use. Move-only.
class IoHandler {
public:
    using executor_type = Executor;
    template <class Handler>
    IoHandler(Handler handler, const Executor& fallback)
        : executor_{asio::get_associated_executor(handler, fallback)}, call_{std::make_unique<Held<Handler>>(
                                                                           std::move(handler))} {}
    IoHandler(IoHandler&&) noexcept = default;
    executor_type get_executor() const noexcept { return executor_; }
    void operator()(error_code ec, std::size_t size = 0) {
        auto call = std::move(call_);
        call->run(ec, size);
    }

private:
    struct Call {
        virtual ~Call() = default;
        virtual void run(error_code ec, std::size_t size) = 0;
    };
    template <class Handler>
    struct Held final : Call {
        explicit Held(Handler handler) : handler_{std::move(handler)} {}
        void run(error_code ec, std::size_t size) override { handler_(ec, size); }
        Handler handler_;
    };
    Executor executor_;
    std::unique_ptr<Call> call_;
};

/// A byte stream to one peer: a plain socket (unix, TCP) or TLS over one. Meets Beast's AsyncStream. Thread-bound to
/// its I/O thread.
class Stream {
public:
    using executor_type = Executor;
    using Gather = std::array<asio::const_buffer, 4>;
    explicit Stream(Socket socket);
    Stream(Socket socket, asio::ssl::context& tls); ///< handshake() before any other use
    Stream(Stream&&) noexcept;
    ~Stream();

    executor_type get_executor() noexcept;
    Socket& socket() noexcept; ///< the one below
    bool is_tls() const noexcept { return tls_ != nullptr; }
    void* native_tls() noexcept; ///< SSL*
    Awaitable<void> handshake();
    /// What the socket takes without waiting; 0 if nothing, if it failed (the next write says so), and always under
    /// TLS.
    std::size_t write_now(asio::const_buffer first, asio::const_buffer second) noexcept;
    /// Tells the peer that nothing more comes.
    Awaitable<void> shutdown();
    void close() noexcept; ///< at once; what is pending ends with an error

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, asio::mutable_buffer buffer) {
                read_some(buffer, IoHandler{std::forward<decltype(handler)>(handler), get_executor()});
            },
            token, first_of<asio::mutable_buffer>(buffers));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, const Gather& gather) {
                write_some(gather, IoHandler{std::forward<decltype(handler)>(handler), get_executor()});
            },
            token, gather_of(buffers));
    }

    /// The first buffer of a sequence that has room.
    template <class Buffer, class Buffers>
    static Buffer first_of(const Buffers& buffers) {
        const auto end = asio::buffer_sequence_end(buffers);
        for (auto it = asio::buffer_sequence_begin(buffers); it != end; ++it)
            if (Buffer buffer{*it}; buffer.size() > 0) return buffer;
        return {};
    }

private:
    struct Tls;
    template <class Buffers>
    static Gather gather_of(const Buffers& buffers) {
        Gather gather{};
        std::size_t count = 0;
        const auto end = asio::buffer_sequence_end(buffers);
        for (auto it = asio::buffer_sequence_begin(buffers); it != end && count < gather.size(); ++it)
            if (asio::const_buffer buffer{*it}; buffer.size() > 0) gather[count++] = buffer;
        return gather;
    }
    void read_some(asio::mutable_buffer buffer, IoHandler handler);
    void write_some(const Gather& buffers, IoHandler handler);

    std::unique_ptr<Socket> plain_;
    std::unique_ptr<Tls> tls_;
};

} // namespace lxdcore::daemon
