// SPDX-License-Identifier: Apache-2.0
// What a client sends before anybody knows who it is, through the daemon's own connection: heads, targets, queries,
// bodies with a length and in chunks, one request after the other. And forms.
#include "fuzz/fuzz.hpp"
#include "fuzz/peer.hpp"
#include "http/connection.hpp"
#include "http/error_mapping.hpp"
#include "http/multipart.hpp"
#include "http/url.hpp"
#include "http/websocket.hpp"

using namespace lxdcore;

namespace {

constexpr std::size_t kMostBody = 32 * 1024;

/// One request as a session serves it: read, answered, what is left of it skipped. False ends the connection.
daemon::Awaitable<bool> serve_one(daemon::Connection& connection, int& answers) {
    daemon::Request request;
    daemon::Response response;
    try {
        if (!co_await connection.read_request(request)) co_return false;
        fuzz::require(request.path.starts_with('/') && request.path.find('?') == std::string::npos);
        if (connection.wants_websocket()) {
            co_await connection.upgrade();
            co_return false;
        }
        const auto body = co_await connection.read_all(kMostBody);
        fuzz::require(body.size() <= kMostBody);
        response.body.emplace_back(body);
    } catch (const daemon::HttpError&) {
        response = daemon::error_response(std::current_exception());
    }
    ++answers;
    // a header that a client has a say in
    response.headers.emplace_back("X-Path", request.path);
    bool again = !response.close && connection.keep_alive();
    if (again && !connection.empty()) {
        try {
            again = co_await connection.finish_request();
        } catch (const daemon::HttpError&) {
            again = false;
        }
    }
    response.close = !again;
    co_await connection.write(response, request.method == daemon::Method::Head);
    co_return again;
}

daemon::Awaitable<void> serve(daemon::IoThread& thread, daemon::Stream stream, int& answers) {
    static const daemon::Limits limits = fuzz::patient_limits();
    static daemon::Workers workers{1};
    daemon::Connection connection{limits, workers, thread, std::move(stream)};
    try {
        while (co_await serve_one(connection, answers)) {
        }
    } catch (const boost::system::system_error&) { // the peer has gone
    }
}

void parse_requests(std::string_view text) {
    daemon::IoThread thread;
    fuzz::Peer peer{text};
    int answers = 0;
    peer.drive(thread.io(), serve(thread, peer.stream(thread.io()), answers));
    if (answers > 0) fuzz::require(peer.received().empty() || peer.received().starts_with("HTTP/1.1 "));
}

void parse_form(std::string_view text) {
    const auto end = text.find('\n');
    const auto boundary = daemon::MultipartParser::boundary_of(text.substr(0, end));
    if (boundary.empty() || end == std::string_view::npos) return;
    std::size_t received = 0;
    daemon::MultipartParser parser{boundary, [](const auto&) {},
                                   [&](const char*, std::size_t size) { received += size; }};
    for (auto rest = text.substr(end + 1); !rest.empty();) {
        const auto piece = std::min<std::size_t>(rest.size(), 1 + rest.size() % 61);
        parser.feed(rest.data(), piece);
        rest.remove_prefix(piece);
    }
    parser.finish();
    fuzz::require(received <= text.size());
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::text_of(data, size);
    parse_requests(text);
    fuzz::refused_or_done([&] { parse_form(text); });
    for (const auto& [key, value] : daemon::parse_query(text))
        fuzz::require(daemon::percent_decode(daemon::percent_encode(value)) == value);
    return 0;
}
