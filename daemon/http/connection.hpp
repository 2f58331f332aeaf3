// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "http/body_reader.hpp"
#include "http/io_threads.hpp"
#include "http/limits.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "http/stream.hpp"
#include "http/workers.hpp"

namespace lxdcore::daemon {

class WebSocket;

/// The HTTP/1.1 side of one stream: framing in, framing out. Thread-bound to its I/O thread.
class Connection final : public BodyReader {
public:
    /// Files of answers are read on @p workers. All references outlive the connection.
    Connection(const Limits& limits, Workers& workers, IoThread& thread, Stream stream);

    /// Reads the next request's header. False: the peer has closed or been silent, nothing is to be answered.
    /// @throws HttpError for a malformed or oversized header
    Awaitable<bool> read_request(Request& request);
    Awaitable<std::size_t> read(asio::mutable_buffer into) override;
    bool empty() const override { return !parser_ || parser_->is_done(); }
    std::int64_t length() const override;

    Awaitable<void> write(const Response& response, bool head_only);
    /// Reads what little is left of the body. False if the connection must end.
    Awaitable<bool> finish_request();
    /// Ends the connection so that the peer can still read the answer.
    Awaitable<void> close_gently();
    Awaitable<std::unique_ptr<WebSocket>> upgrade();
    Awaitable<std::unique_ptr<Stream>> switch_to(std::string_view protocol, std::string& early);
    bool wants_websocket() const;
    bool keep_alive() const;
    bool peer_gone();
    Stream& stream() noexcept { return stream_; }

private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
    std::string_view buffered() const { return {buffer_.get() + begin_, end_ - begin_}; }
    Awaitable<std::size_t> fill();
    Awaitable<void> send_continue();
    Awaitable<void> write_all(asio::const_buffer first, asio::const_buffer second);
    Awaitable<void> write_file(const FileBody& file, bool chunked);
    void make_room();
    void check_header(Request& request) const;
    std::string head_of(const Response& response, std::int64_t length, bool head_only) const;

    const Limits& limits_;
    Workers& workers_;
    IoThread& thread_;
    Stream stream_;
    Deadlines::Entry deadline_;
    std::optional<Parser> parser_;
    std::unique_ptr<char[]> buffer_;
    std::size_t begin_ = 0, end_ = 0, capacity_ = 0;
    bool continue_wanted_ = false;
    bool broken_ = false; ///< framing lost: no further request
    bool upgraded_ = false;
};

} // namespace lxdcore::daemon
