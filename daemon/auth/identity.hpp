// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/caller.hpp>
#include <lxdcore/service/guest_api.hpp>

namespace lxdcore::daemon {

/// Who is at the other end of a connection, as far as the transport proves it.
struct Peer {
    bool local = false;                         ///< the unix socket
    std::string username;                       ///< unix: from SO_PEERCRED
    std::string address;                        ///< "@" on the unix socket, else host:port
    std::string fingerprint;                    ///< TLS: SHA-256 (hex) of the client certificate; "" without one
    std::string certificate;                    ///< TLS: the client certificate, base64 DER
    std::int64_t not_before = 0, not_after = 0; ///< its validity, unix seconds
    std::optional<GuestApi::Caller> guest;      ///< the guest API's socket: whose process it is
};

/// What a peer may do, decided anew for each request.
struct Identity {
    bool trusted = false;
    bool admin = false;                ///< unix socket or unrestricted certificate
    std::vector<std::string> projects; ///< of a restricted certificate
    Caller caller;
};

} // namespace lxdcore::daemon
