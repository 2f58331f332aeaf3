// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include <lxdcore/service/server_service.hpp>

#include "auth/identity.hpp"
#include "http/router.hpp"

namespace lxdcore::daemon {

/// Decides who a peer is and what it may do. Thread-safe.
class Authorizer {
public:
    explicit Authorizer(ServerService& server) : server_{server} {}
    /// From memory; nothing if the trust store must be asked.
    std::optional<Identity> known(const Peer& peer) const;
    /// Asks the trust store (may block). Validity in time counts, not only the match (R18).
    Identity identify(const Peer& peer);
    /// After a change of the trust store.
    void forget();
    static bool allows(const Request& request, Permission permission);

private:
    static Identity of(const Peer& peer, const std::optional<api::Certificate>& certificate);
    ServerService& server_;
    mutable std::mutex mutex_;
    std::map<std::string, api::Certificate> trusted_; ///< only what the store confirmed
    std::uint64_t generation_ = 0;
};

/// True for a request that another web site makes a browser send (R29): an unsafe method or a websocket upgrade with a
/// foreign Origin or Sec-Fetch-Site.
bool is_cross_site(const Request& request);

} // namespace lxdcore::daemon
