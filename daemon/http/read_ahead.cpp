// SPDX-License-Identifier: Apache-2.0
#include "http/read_ahead.hpp"

namespace lxdcore::daemon {

void ReadAhead::read_some(asio::mutable_buffer buffer, IoHandler handler) {
    if (waiting() > 0) {
        asio::post(get_executor(),
                   [handler = std::move(handler), size = take(buffer)]() mutable { handler({}, size); });
        return;
    }
    if (buffer.size() >= size_) {
        stream_.async_read_some(buffer, std::move(handler));
        return;
    }
    stream_.async_read_some(asio::buffer(block_.get(), size_),
                            [this, buffer, handler = std::move(handler)](error_code ec, std::size_t size) mutable {
                                begin_ = 0;
                                end_ = size;
                                handler(ec, ec ? 0 : take(buffer));
                            });
}

void teardown(boost::beast::role_type, ReadAhead& stream, error_code& ec) {
    stream.stream().socket().shutdown(Socket::shutdown_both, ec);
    stream.close();
}

void beast_close_socket(ReadAhead& stream) { stream.close(); }

} // namespace lxdcore::daemon
