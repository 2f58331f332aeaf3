// SPDX-License-Identifier: Apache-2.0
// Frames of a websocket after its handshake, read as the daemon reads them, and the messages of a control channel.
#include <boost/asio/io_context.hpp>
#include <boost/beast/_experimental/test/stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "fuzz/fuzz.hpp"

using namespace lxdcore;
namespace beast = boost::beast;

namespace {

beast::http::request<beast::http::empty_body> handshake() {
    beast::http::request<beast::http::empty_body> request{beast::http::verb::get, "/", 11};
    request.set(beast::http::field::host, "l");
    request.set(beast::http::field::upgrade, "websocket");
    request.set(beast::http::field::connection, "Upgrade");
    request.set(beast::http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    request.set(beast::http::field::sec_websocket_version, "13");
    return request;
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    boost::asio::io_context io;
    beast::test::stream ours{io}, peer{io};
    ours.connect(peer);
    beast::websocket::stream<beast::test::stream, false> socket{std::move(ours)};
    socket.read_message_max(0);
    beast::error_code ec;
    static const auto request = handshake();
    socket.accept(request, ec);
    socket.next_layer().append({reinterpret_cast<const char*>(data), size});
    peer.close();
    std::size_t received = 0;
    std::string message;
    while (!ec) {
        char piece[64];
        const auto read = socket.read_some(boost::asio::buffer(piece), ec);
        received += read;
        message.append(piece, read);
        fuzz::require(received <= size);
        if (ec || !socket.is_message_done()) continue;
        if (socket.got_text()) fuzz::refused_or_done([&] { (void)api::parse_json(message); });
        message.clear();
    }
    return 0;
}
