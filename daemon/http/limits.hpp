// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace lxdcore::daemon {

/// Bounds of the HTTP side (R53, R56). Tests shorten the times.
struct Limits {
    std::size_t header_bytes = 64 * 1024;
    std::uint64_t json_bytes = 16 * 1024 * 1024;
    std::chrono::milliseconds header{3'000};     ///< first byte of a request to the end of its header
    std::chrono::milliseconds handshake{5'000};  ///< TLS
    std::chrono::milliseconds idle{30'000};      ///< between requests
    std::chrono::milliseconds body{30'000};      ///< without a byte of a body
    std::chrono::milliseconds json_body{60'000}; ///< a whole JSON body
    std::chrono::milliseconds write{120'000};    ///< without the peer taking a byte
    std::chrono::milliseconds linger{2'000};     ///< reading on after an early answer, so that the peer gets it
    std::chrono::milliseconds ping{30'000};      ///< websocket; a peer silent for two and a half of them is dead
    std::size_t tls_connections = 512;
    std::size_t tls_per_source = 256;     ///< thirty `lxc exec` at once have 150
    std::size_t local_connections = 4096; ///< counted apart, so that the network cannot use them up
};

} // namespace lxdcore::daemon
