// SPDX-License-Identifier: Apache-2.0
// Frames of a websocket after its handshake, read in each of the ways in which the daemon reads them, and the messages
// of a control channel.
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "fuzz/fuzz.hpp"
#include "fuzz/peer.hpp"
#include "http/websocket.hpp"

using namespace lxdcore;
using Kind = daemon::WebSocket::Kind;

namespace {

daemon::WebSocket::HandshakeRequest handshake() {
    using boost::beast::http::field;
    daemon::WebSocket::HandshakeRequest request{boost::beast::http::verb::get, "/", 11};
    request.set(field::host, "l");
    request.set(field::upgrade, "websocket");
    request.set(field::connection, "Upgrade");
    request.set(field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    request.set(field::sec_websocket_version, "13");
    return request;
}

daemon::Awaitable<void> read_messages(daemon::WebSocket& socket, std::size_t most) {
    std::string message;
    for (auto kind = Kind::Data; kind != Kind::Closed;) {
        kind = co_await socket.read_message(message, most);
        if (kind == Kind::Data) {
            fuzz::require(message.size() <= most);
            fuzz::refused_or_done([&] { (void)api::parse_json(message); });
        }
    }
}

/// Echoes what comes, as a console with a program that does so.
daemon::Awaitable<void> read_stream(daemon::WebSocket& socket, std::size_t most, bool ahead) {
    std::size_t received = 0;
    if (ahead) socket.read_ahead(4096);
    for (auto kind = Kind::Data; kind != Kind::Closed;) {
        char piece[64];
        std::size_t size = 0;
        const auto into = boost::asio::buffer(piece);
        kind = ahead ? co_await socket.read_waiting(into, size) : co_await socket.read(into, size);
        received += size;
        fuzz::require(size <= sizeof piece && received <= most);
        if (kind == Kind::Data && !co_await socket.write_binary(boost::asio::buffer(piece, size))) break;
    }
}

daemon::Awaitable<void> serve(daemon::IoThread& thread, daemon::Stream stream, std::size_t size) {
    static const daemon::Limits limits = fuzz::patient_limits();
    static const auto request = handshake();
    daemon::WebSocket socket{std::move(stream), thread.deadlines(), limits};
    co_await socket.accept(request);
    if (size % 3 == 0)
        co_await read_messages(socket, size);
    else
        co_await read_stream(socket, size, size % 3 == 1);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    daemon::IoThread thread;
    fuzz::Peer peer{fuzz::text_of(data, size)};
    peer.drive(thread.io(), serve(thread, peer.stream(thread.io()), size));
    fuzz::require(peer.received().starts_with("HTTP/1.1 101 "));
    return 0;
}
