// SPDX-License-Identifier: Apache-2.0
#include "http/connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include <boost/asio/redirect_error.hpp>
#include <boost/beast/http/status.hpp>
#include <fmt/format.h>

#include "http/error_mapping.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kFilePiece = 256 * 1024;

std::string_view text_of(const Response::Part& part) {
    if (const auto* text = std::get_if<std::string>(&part)) return *text;
    return *std::get<std::shared_ptr<const std::string>>(part);
}

/// -1 if a file's size is not known.
std::int64_t length_of(const Response& response) {
    std::int64_t length = 0;
    for (const auto& part : response.body) {
        const auto* file = std::get_if<FileBody>(&part);
        if (file != nullptr && file->size < 0) return -1;
        length += file != nullptr ? file->size : static_cast<std::int64_t>(text_of(part).size());
    }
    return length;
}

/// No header may be split by what a client put into a name.
bool is_header_text(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

} // namespace

std::string Connection::head_of(const Response& response, std::int64_t length, bool) const {
    const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(response.status));
    std::string head;
    head.reserve(256);
    head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
    head.append(reason.data(), reason.size()).append("\r\n");
    for (const auto& [name, value] : response.headers)
        if (is_header_text(value)) head.append(name).append(": ").append(value).append("\r\n");
    if (length >= 0)
        head.append("Content-Length: ").append(std::to_string(length)).append("\r\n");
    else if (parser_->get().version() == 11)
        head += "Transfer-Encoding: chunked\r\n";
    if (response.close || !keep_alive())
        head += "Connection: close\r\n";
    else if (parser_->get().version() == 10)
        head += "Connection: keep-alive\r\n";
    head += "\r\n";
    return head;
}

Awaitable<void> Connection::write_all(asio::const_buffer first, asio::const_buffer second) {
    const auto sent = [&](std::size_t size) {
        const auto from_first = std::min(size, first.size());
        first += from_first;
        second += size - from_first;
    };
    // Mostly the socket takes the whole answer at once: no turn of the event loop, no deadline.
    if (first.size() + second.size() > 0) sent(stream_.write_now(first, second));
    if (first.size() + second.size() == 0) co_return;
    while (first.size() + second.size() > 0) {
        deadline_.set(limits_.write);
        sent(co_await stream_.async_write_some(std::array{first, second}, use_awaitable));
    }
    deadline_.clear();
}

Awaitable<void> Connection::write_file(const FileBody& file, bool chunked) {
    const auto piece = std::make_unique_for_overwrite<char[]>(kFilePiece);
    std::int64_t left = file.size;
    while (left != 0) {
        const auto want = left < 0 ? kFilePiece : std::min<std::size_t>(kFilePiece, static_cast<std::size_t>(left));
        auto read_some = [&] { return ::read(*file.fd, piece.get(), want); };
        const auto got = co_await workers_.run(read_some);
        if (got < 0) throw_errno("read");
        if (got == 0) {
            if (left > 0) throw Error{ErrorCode::Internal, "file became shorter while it was sent"};
            break;
        }
        if (left > 0) left -= got;
        const auto size = chunked ? fmt::format("{:x}\r\n", got) : std::string{};
        co_await write_all(asio::buffer(size), asio::buffer(piece.get(), static_cast<std::size_t>(got)));
        if (chunked) co_await write_all(asio::buffer("\r\n", 2), {});
    }
}

Awaitable<void> Connection::write(const Response& response, bool head_only) {
    const auto length = length_of(response);
    const bool chunked = length < 0 && parser_->get().version() == 11;
    const auto head = head_of(response, length, head_only);
    std::string_view pending = head;
    if (!head_only) {
        for (const auto& part : response.body) {
            if (const auto* file = std::get_if<FileBody>(&part)) {
                co_await write_all(asio::buffer(pending), {});
                pending = {};
                co_await write_file(*file, chunked);
                continue;
            }
            const auto text = text_of(part);
            if (chunked && !text.empty()) {
                const auto size = fmt::format("{:x}\r\n", text.size());
                co_await write_all(asio::buffer(pending), asio::buffer(size));
                co_await write_all(asio::buffer(text), asio::buffer("\r\n", 2));
            } else {
                co_await write_all(asio::buffer(pending), asio::buffer(text));
            }
            pending = {};
        }
    }
    if (!pending.empty()) co_await write_all(asio::buffer(pending), {});
    if (chunked && !head_only) co_await write_all(asio::buffer("0\r\n\r\n", 5), {});
}

} // namespace lxdcore::daemon
