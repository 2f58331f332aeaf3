// SPDX-License-Identifier: Apache-2.0
// What a client sends before anybody knows who it is: request heads, targets, queries, forms, in pieces.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "fuzz/fuzz.hpp"
#include "http/multipart.hpp"
#include "http/url.hpp"

using namespace lxdcore;

namespace {

void parse_request(std::string_view text) {
    namespace http = boost::beast::http;
    http::request_parser<http::string_body> parser;
    parser.header_limit(64 * 1024);
    parser.body_limit(1 << 20);
    parser.eager(true);
    boost::system::error_code ec;
    while (!text.empty() && !parser.is_done()) {
        const auto used = parser.put(boost::asio::buffer(text), ec);
        text.remove_prefix(used);
        if (ec || used == 0) return;
    }
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
    parse_request(text);
    fuzz::refused_or_done([&] { parse_form(text); });
    for (const auto& [key, value] : daemon::parse_query(text))
        fuzz::require(daemon::percent_decode(daemon::percent_encode(value)) == value);
    return 0;
}
