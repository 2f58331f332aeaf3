// SPDX-License-Identifier: Apache-2.0
#include "client/http.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include "client/limit.hpp"
#include "client/url.hpp"
#include "util/text.hpp"

namespace lxdcore::client {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::size_t kMostIdle = 4;
constexpr std::uint64_t kMostText = 1U << 30; ///< an answer that is kept in memory
constexpr std::uint32_t kMostHeader = 64 * 1024;

[[noreturn]] void gone(const error_code& ec) {
    if (ec == http::error::end_of_stream || ec == asio::error::eof || ec == asio::error::connection_reset)
        throw Error{ErrorCode::Unavailable, "The server closed the connection"};
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor)
        throw Error{ErrorCode::Unavailable, "The server did not answer in time"};
    throw Error{ErrorCode::Unavailable, "Talking to the server failed: " + ec.message()};
}

template <class Message>
HttpReply reply_of(const Message& message) {
    HttpReply reply;
    reply.status = message.result_int();
    for (const auto& field : message)
        reply.headers[text::lower(std::string{field.name_string()})] = std::string{field.value()};
    return reply;
}

void check_header(const HttpRequest& request) {
    for (const auto& [name, value] : request.headers)
        if (value.find_first_of(std::string_view{"\r\n\0", 3}) != std::string::npos)
            throw Error{ErrorCode::InvalidArgument, "A line break in " + name};
}

} // namespace

std::string encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '.' || c == '~';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string HttpReply::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

std::string HttpDownload::read_all() {
    std::string all;
    char piece[16 * 1024];
    while (const auto size = read(piece, sizeof piece))
        all.append(piece, size);
    return all;
}

std::string Http::head_of(const HttpRequest& request, bool chunked) const {
    check_header(request);
    std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: lxdcore\r\n", request.method,
                                   request.target, dialer_.host());
    for (const auto& [name, value] : request.headers)
        head += fmt::format("{}: {}\r\n", name, value);
    if (chunked)
        head += "Transfer-Encoding: chunked\r\n";
    else if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD"))
        head += fmt::format("Content-Length: {}\r\n", request.body.size());
    return head + "\r\n";
}

Awaitable<Stream> Http::take() {
    while (!idle_.empty()) {
        Stream stream = std::move(idle_.back());
        idle_.pop_back();
        if (stream.idle()) co_return stream;
    }
    co_return co_await connect();
}

void Http::give_back(Stream stream) {
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(stream));
}

Awaitable<HttpReply> Http::exchange(HttpRequest request, std::chrono::milliseconds limit) {
    const auto head = head_of(request, false);
    Stream stream = co_await take();
    const Limit watch{stream.get_executor(), limit, stream.socket()};
    error_code ec;
    const std::array<asio::const_buffer, 2> pieces{asio::buffer(head), asio::buffer(request.body)};
    co_await asio::async_write(stream, pieces, asio::redirect_error(use_awaitable, ec));
    if (ec) gone(ec);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMostText);
    parser.header_limit(kMostHeader);
    parser.skip(request.method == "HEAD");
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(use_awaitable, ec));
    if (ec) gone(ec);
    auto reply = reply_of(parser.get());
    reply.body = std::move(parser.get().body());
    if (parser.get().keep_alive()) give_back(std::move(stream));
    co_return reply;
}

Awaitable<Stream> Http::upgrade(HttpRequest request, std::string& early) {
    const auto head = head_of(request, false);
    Stream stream = co_await connect();
    error_code ec;
    co_await asio::async_write(stream, asio::buffer(head), asio::redirect_error(use_awaitable, ec));
    if (ec) gone(ec);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMostText);
    parser.header_limit(kMostHeader);
    co_await http::async_read_header(stream, buffer, parser, asio::redirect_error(use_awaitable, ec));
    if (ec) gone(ec);
    const auto status = parser.get().result_int();
    if (status != 101) {
        co_await http::async_read(stream, buffer, parser, asio::redirect_error(use_awaitable, ec));
        throw_if_error(status, parser.get().body());
        throw Error{ErrorCode::Unavailable, "The server answered otherwise than it was asked to"};
    }
    early.assign(static_cast<const char*>(buffer.data().data()), buffer.size());
    co_return stream;
}

class Http::DownloadImpl final : public HttpDownload {
public:
    DownloadImpl(Http& http, HttpRequest request) : http_{http} { http_.thread_.run(begin(std::move(request))); }
    ~DownloadImpl() override {
        if (!stream_ || !http_.thread_.ours()) return;
        // Sockets belong to their thread.
        asio::post(http_.thread_.io(), [stream = std::make_shared<Stream>(std::move(*stream_))] { stream->close(); });
    }
    const HttpReply& reply() const override { return reply_; }
    std::size_t read(char* data, std::size_t size) override { return http_.thread_.run(read_some(data, size)); }

private:
    Awaitable<void> begin(HttpRequest request) {
        const auto head = http_.head_of(request, false);
        stream_.emplace(co_await http_.take());
        const Limit watch{stream_->get_executor(), http_.timeout_, stream_->socket()};
        error_code ec;
        const std::array<asio::const_buffer, 2> pieces{asio::buffer(head), asio::buffer(request.body)};
        co_await asio::async_write(*stream_, pieces, asio::redirect_error(use_awaitable, ec));
        if (ec) gone(ec);
        parser_.body_limit((std::numeric_limits<std::uint64_t>::max)());
        parser_.header_limit(kMostHeader);
        co_await http::async_read_header(*stream_, buffer_, parser_, asio::redirect_error(use_awaitable, ec));
        if (ec) gone(ec);
        reply_ = reply_of(parser_.get());
    }
    Awaitable<std::size_t> read_some(char* data, std::size_t size) {
        auto& body = parser_.get().body();
        while (!parser_.is_done()) {
            body.data = data;
            body.size = size;
            error_code ec;
            co_await http::async_read(*stream_, buffer_, parser_, asio::redirect_error(use_awaitable, ec));
            if (ec == http::error::need_buffer) ec = {};
            if (ec) gone(ec);
            if (body.size < size) co_return size - body.size;
        }
        if (stream_ && parser_.get().keep_alive()) http_.give_back(std::move(*stream_));
        stream_.reset();
        co_return 0;
    }

    Http& http_;
    std::optional<Stream> stream_;
    beast::flat_buffer buffer_;
    http::response_parser<http::buffer_body> parser_;
    HttpReply reply_;
};

class Http::UploadImpl final : public HttpUpload {
public:
    UploadImpl(Http& http, const HttpRequest& request) : http_{http} {
        http_.thread_.run(begin(http.head_of(request, true)));
    }
    ~UploadImpl() override {
        if (!stream_ || !http_.thread_.ours()) return;
        asio::post(http_.thread_.io(), [stream = std::make_shared<Stream>(std::move(*stream_))] { stream->close(); });
    }
    void write(const char* data, std::size_t size) override {
        if (size > 0 && !refused_) http_.thread_.run(send(fmt::format("{:x}\r\n", size), asio::buffer(data, size)));
    }
    HttpReply finish() override { return http_.thread_.run(end()); }

private:
    Awaitable<void> begin(std::string head) {
        stream_.emplace(co_await http_.take());
        error_code ec;
        co_await asio::async_write(*stream_, asio::buffer(head), asio::redirect_error(use_awaitable, ec));
        if (ec) gone(ec);
    }
    Awaitable<void> send(std::string size, asio::const_buffer data) {
        error_code ec;
        const std::array<asio::const_buffer, 3> pieces{asio::buffer(size), data, asio::buffer("\r\n", 2)};
        co_await asio::async_write(*stream_, pieces, asio::redirect_error(use_awaitable, ec));
        refused_ = static_cast<bool>(ec); // the answer, if there is one, says why
    }
    Awaitable<HttpReply> end() {
        error_code ec;
        if (!refused_) {
            constexpr std::string_view last = "0\r\n\r\n";
            co_await asio::async_write(*stream_, asio::buffer(last), asio::redirect_error(use_awaitable, ec));
        }
        beast::flat_buffer buffer;
        http::response_parser<http::string_body> parser;
        parser.body_limit(kMostText);
        parser.header_limit(kMostHeader);
        co_await http::async_read(*stream_, buffer, parser, asio::redirect_error(use_awaitable, ec));
        if (ec) gone(ec);
        auto reply = reply_of(parser.get());
        reply.body = std::move(parser.get().body());
        if (!refused_ && parser.get().keep_alive()) http_.give_back(std::move(*stream_));
        stream_.reset();
        co_return reply;
    }

    Http& http_;
    std::optional<Stream> stream_;
    bool refused_ = false;
};

std::unique_ptr<HttpDownload> Http::download(HttpRequest request) {
    return std::make_unique<DownloadImpl>(*this, std::move(request));
}

std::unique_ptr<HttpUpload> Http::upload(HttpRequest request) { return std::make_unique<UploadImpl>(*this, request); }

} // namespace lxdcore::client
