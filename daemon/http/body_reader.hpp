// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "http/asio.hpp"

namespace lxdcore::daemon {

/// The body of one request, read piece by piece; sends "100 Continue" when the first piece is asked for. Thread-bound
/// to the connection's I/O thread.
class BodyReader {
public:
    virtual ~BodyReader();
    /// Some bytes; 0 at the end. @throws HttpError 400 (bad framing, peer gone), 408 (no progress); the connection is
    /// then unusable
    virtual Awaitable<std::size_t> read(asio::mutable_buffer into) = 0;
    /// What is left, at most @p limit bytes. @throws also HttpError 413
    Awaitable<std::string> read_all(std::uint64_t limit);
    /// True if there is surely nothing to read.
    virtual bool empty() const = 0;
    /// The announced length, -1 if chunked.
    virtual std::int64_t length() const = 0;
};

} // namespace lxdcore::daemon
