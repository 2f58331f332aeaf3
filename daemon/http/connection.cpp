// SPDX-License-Identifier: Apache-2.0
#include "http/connection.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <fmt/format.h>

#include "http/error_mapping.hpp"
#include "http/router.hpp"
#include "http/websocket.hpp"

namespace lxdcore::daemon {

namespace http = boost::beast::http;

namespace {

constexpr std::size_t kSmallBuffer = 4 * 1024;
constexpr std::size_t kBodyBuffer = 64 * 1024;

[[noreturn]] void bad_request(const std::string& why) { throw HttpError{400, "Bad request: " + why, true}; }

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

} // namespace

Connection::Connection(const Limits& limits, Workers& workers, IoThread& thread, Stream stream)
    : limits_{limits}, workers_{workers}, thread_{thread}, stream_{std::move(stream)},
      deadline_{thread.deadlines(), std::bind_front(&Stream::close, &stream_)} {}

void Connection::make_room() {
    if (begin_ == end_) begin_ = end_ = 0;
    // a connection that waits for its next request keeps no large buffer
    const std::size_t wanted = parser_ && parser_->is_header_done() ? kBodyBuffer : kSmallBuffer;
    if (begin_ == end_ && (capacity_ < wanted || (wanted == kSmallBuffer && capacity_ > kSmallBuffer))) {
        buffer_ = std::make_unique<char[]>(wanted);
        capacity_ = wanted;
    }
    if (end_ < capacity_) return;
    if (begin_ > 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    } else {
        if (capacity_ >= 2 * limits_.header_bytes) throw HttpError{431, "Request header is too large", true};
        auto larger = std::make_unique<char[]>(capacity_ * 2);
        std::memcpy(larger.get(), buffer_.get(), end_);
        buffer_ = std::move(larger);
        capacity_ *= 2;
    }
    end_ -= begin_;
    begin_ = 0;
}

Awaitable<std::size_t> Connection::fill() {
    make_room();
    error_code ec;
    const auto size = co_await stream_.async_read_some(asio::buffer(buffer_.get() + end_, capacity_ - end_),
                                                       asio::redirect_error(use_awaitable, ec));
    end_ += size;
    co_return ec ? 0 : size;
}

Awaitable<bool> Connection::read_request(Request& request) {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max()); // handlers bound it; Beast 1.74 takes none for 0
    parser_->eager(false);
    deadline_.set(limits_.idle);
    if (begin_ == end_ && co_await fill() == 0) co_return false;
    deadline_.set(limits_.header);
    while (!parser_->is_header_done()) {
        error_code ec;
        begin_ += parser_->put(asio::buffer(buffer_.get() + begin_, end_ - begin_), ec);
        if (parser_->is_header_done()) break;
        if (ec == http::error::header_limit) throw HttpError{431, "Request header is too large", true};
        if (ec && ec != http::error::need_more) bad_request(ec.message());
        if (co_await fill() == 0) co_return false;
    }
    deadline_.clear();
    check_header(request);
    co_return true;
}

void Connection::check_header(Request& request) const {
    const auto& message = parser_->get();
    int lengths = 0, encodings = 0, hosts = 0;
    for (const auto& field : message) {
        const auto name = view(field.name_string()), value = view(field.value());
        request.headers.emplace_back(name, value);
        if (field.name() == http::field::host) ++hosts;
        if (field.name() == http::field::content_length) {
            ++lengths;
            if (value.empty() || value.find_first_not_of("0123456789") != std::string_view::npos)
                bad_request("bad Content-Length");
        }
        if (field.name() == http::field::transfer_encoding) {
            ++encodings;
            if (!iequals(value, "chunked")) throw HttpError{501, "Unsupported transfer encoding", true};
        }
    }
    if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0)) bad_request("ambiguous length");
    if (message.version() != 11 && message.version() != 10) throw HttpError{505, "HTTP version not supported", true};
    if (hosts > 1 || (hosts == 0 && message.version() == 11)) bad_request("exactly one Host is required");
    if (encodings > 0 && message.version() == 10) bad_request("chunked in HTTP/1.0");

    request.method_text = view(message.method_string());
    request.method = method_of(request.method_text);
    auto target = view(message.target());
    if (target.starts_with("http://") || target.starts_with("https://")) {
        const auto path = target.find('/', target.find("://") + 3);
        target = path == std::string_view::npos ? std::string_view{"/"} : target.substr(path);
    }
    const auto question = std::min(target.find('?'), target.size());
    request.path = target.substr(0, question);
    if (request.path.empty() || request.path.front() != '/') bad_request("bad path");
    if (question < target.size()) request.queries = parse_query(target.substr(question + 1));
    const bool names_files = request.path.ends_with("/files"); // of a guest, which may be any bytes
    for (const auto& [key, value] : request.queries)
        if (!is_clean_utf8(key) || (!is_clean_utf8(value) && !(names_files && key == "path")))
            bad_request("query is not UTF-8");
}

std::int64_t Connection::length() const {
    const auto length = parser_ ? parser_->content_length() : boost::none;
    if (length) return static_cast<std::int64_t>(*length);
    return empty() ? 0 : -1;
}

Awaitable<void> Connection::send_continue() {
    continue_wanted_ = false;
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await write_all(asio::buffer(kContinue), {});
}

Awaitable<std::size_t> Connection::read(asio::mutable_buffer into) {
    const auto expect = parser_->get().find(http::field::expect);
    if (begin_ == end_ && !continue_wanted_ && expect != parser_->get().end() &&
        iequals(view(expect->value()), "100-continue")) {
        continue_wanted_ = true; // once per request: the field goes
        parser_->get().erase(expect);
        co_await send_continue();
    }
    auto& body = parser_->get().body();
    body.data = into.data();
    body.size = into.size();
    while (true) {
        if (parser_->is_done()) co_return 0;
        error_code ec = http::error::need_more;
        if (begin_ != end_) begin_ += parser_->put(asio::buffer(buffer_.get() + begin_, end_ - begin_), ec);
        const auto size = into.size() - body.size;
        if (ec && ec != http::error::need_more && ec != http::error::need_buffer) {
            broken_ = true;
            bad_request(ec.message());
        }
        if (size > 0) co_return size;
        if (ec != http::error::need_more) continue;
        deadline_.set(limits_.body);
        const auto got = co_await fill();
        deadline_.clear();
        if (got == 0) {
            broken_ = true;
            bad_request("body ended early");
        }
    }
}

Awaitable<bool> Connection::finish_request() {
    if (broken_) co_return false;
    if (empty()) co_return true;
    // a client that waits for "100 Continue" will not send: nothing to skip, but the framing is open
    if (parser_->get().find(http::field::expect) != parser_->get().end()) co_return false;
    constexpr std::size_t kSkip = 64 * 1024;
    std::size_t skipped = 0;
    auto scrap = std::make_unique<char[]>(kSmallBuffer);
    // of chunks nobody knows how many come, or when
    if (length() < 0 || length() > static_cast<std::int64_t>(kSkip)) co_return false;
    while (skipped <= kSkip) {
        const auto size = co_await read(asio::buffer(scrap.get(), kSmallBuffer));
        if (size == 0) co_return true;
        skipped += size;
    }
    co_return false;
}

Awaitable<void> Connection::close_gently() {
    deadline_.set(limits_.linger);
    co_await stream_.shutdown();
    error_code ec;
    const auto scrap = std::make_unique<char[]>(kSmallBuffer);
    std::size_t most = 64 * 1024 * 1024;
    while (!ec && most > 0 && !stream_.is_tls()) {
        const auto size = co_await stream_.socket().async_read_some(asio::buffer(scrap.get(), kSmallBuffer),
                                                                    asio::redirect_error(use_awaitable, ec));
        most -= std::min(most, size);
    }
    stream_.close();
}

bool Connection::keep_alive() const { return !broken_ && parser_ && parser_->get().keep_alive(); }

bool Connection::wants_websocket() const {
    return parser_ && parser_->is_header_done() && boost::beast::websocket::is_upgrade(parser_->get());
}

Awaitable<std::unique_ptr<WebSocket>> Connection::upgrade() {
    if (!wants_websocket() || begin_ != end_ || parser_->get()["Sec-WebSocket-Version"] != "13" ||
        parser_->get()["Sec-WebSocket-Key"].empty())
        throw HttpError{400, "Bad Request"};
    http::request<http::empty_body> handshake{http::request_header<>{parser_->get().base()}};
    upgraded_ = true;
    auto socket = std::make_unique<WebSocket>(std::move(stream_), thread_.deadlines(), limits_);
    co_await socket->accept(handshake);
    co_return socket;
}

Awaitable<std::unique_ptr<Stream>> Connection::switch_to(std::string_view protocol, std::string& early) {
    const auto head =
        fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: {}\r\nConnection: Upgrade\r\n\r\n", protocol);
    co_await write_all(asio::buffer(head), {});
    deadline_.clear();
    early = buffered();
    upgraded_ = true;
    co_return std::make_unique<Stream>(std::move(stream_));
}

bool Connection::peer_gone() {
    char byte = 0;
    const auto got = ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

} // namespace lxdcore::daemon
