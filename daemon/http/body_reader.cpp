// SPDX-License-Identifier: Apache-2.0
#include "http/body_reader.hpp"

#include "http/error_mapping.hpp"

namespace lxdcore::daemon {

BodyReader::~BodyReader() = default;

Awaitable<std::string> BodyReader::read_all(std::uint64_t limit) {
    const auto refuse = [] { throw HttpError{413, "Request body is too large", true}; };
    if (length() > 0 && static_cast<std::uint64_t>(length()) > limit) refuse();
    std::string text;
    while (!empty()) {
        constexpr std::size_t kPiece = 16 * 1024;
        const auto before = text.size();
        text.resize(before + kPiece);
        const auto size = co_await read(asio::buffer(text.data() + before, kPiece));
        text.resize(before + size);
        if (size == 0) break;
        if (text.size() > limit) refuse();
    }
    co_return text;
}

} // namespace lxdcore::daemon
