// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>

#include "client/asio.hpp"

namespace boost::asio::ssl {
class context;
}

namespace lxdcore::client {

/// A completion handler whose type is forgotten, so that Beast is instantiated once for sockets and TLS. Move-only.
class AnyHandler {
public:
    using executor_type = Executor;
    template <class Handler>
    AnyHandler(Handler handler, const Executor& fallback)
        : executor_{asio::get_associated_executor(handler, fallback)}, call_{std::make_unique<Held<Handler>>(
                                                                           std::move(handler))} {}
    AnyHandler(AnyHandler&&) noexcept = default;
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

/// A byte stream to the server: a socket, or TLS over one. Meets Beast's AsyncStream. Thread-bound to the I/O thread.
class Stream {
public:
    using executor_type = Executor;
    explicit Stream(Socket socket);
    Stream(Socket socket, std::shared_ptr<asio::ssl::context> tls);
    Stream(Stream&&) noexcept;
    ~Stream();

    executor_type get_executor() noexcept;
    Socket& socket() noexcept;   ///< the one below
    void* native_tls() noexcept; ///< SSL*, or nullptr
    Awaitable<void> handshake();
    void close() noexcept; ///< at once; what is pending ends with an error
    /// False if the peer has closed, or has said something that nobody asked for: no request may be sent here.
    bool idle() noexcept;

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, asio::mutable_buffer buffer) {
                read_some(buffer, AnyHandler{std::forward<decltype(handler)>(handler), get_executor()});
            },
            token, first_of<asio::mutable_buffer>(buffers));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto&& handler, asio::const_buffer buffer) {
                write_some(buffer, AnyHandler{std::forward<decltype(handler)>(handler), get_executor()});
            },
            token, first_of<asio::const_buffer>(buffers));
    }

private:
    struct Tls;
    template <class Buffer, class Buffers>
    static Buffer first_of(const Buffers& buffers) {
        const auto end = asio::buffer_sequence_end(buffers);
        for (auto it = asio::buffer_sequence_begin(buffers); it != end; ++it)
            if (Buffer buffer{*it}; buffer.size() > 0) return buffer;
        return {};
    }
    void read_some(asio::mutable_buffer buffer, AnyHandler handler);
    void write_some(asio::const_buffer buffer, AnyHandler handler);

    std::unique_ptr<Socket> plain_;
    std::unique_ptr<Tls> tls_;
};

// What Beast's websocket asks of a stream at the end of a connection, found by argument-dependent lookup.
void teardown(boost::beast::role_type role, Stream& stream, error_code& ec);
void beast_close_socket(Stream& stream);
template <class Handler>
void async_teardown(boost::beast::role_type role, Stream& stream, Handler&& handler) {
    error_code ec;
    teardown(role, stream, ec);
    asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler), ec]() mutable { handler(ec); });
}

} // namespace lxdcore::client
