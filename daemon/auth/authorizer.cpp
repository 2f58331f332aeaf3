// SPDX-License-Identifier: Apache-2.0
#include "auth/authorizer.hpp"

#include <algorithm>
#include <ctime>

namespace lxdcore::daemon {

Identity Authorizer::of(const Peer& peer, const std::optional<api::Certificate>& certificate) {
    Identity identity;
    identity.caller.address = peer.address;
    if (peer.local) {
        identity.trusted = identity.admin = true;
        identity.caller.username = peer.username;
        identity.caller.protocol = "unix";
        identity.caller.admin = true;
        return identity;
    }
    identity.caller.protocol = "tls";
    identity.caller.username = peer.fingerprint;
    identity.caller.admin = false;
    const auto now = static_cast<std::int64_t>(std::time(nullptr));
    if (!certificate || now < peer.not_before || now > peer.not_after) return identity;
    if (certificate->type != "client") return identity;
    identity.trusted = true;
    identity.admin = identity.caller.admin = !certificate->restricted;
    if (certificate->restricted) identity.projects = certificate->projects;
    return identity;
}

std::optional<Identity> Authorizer::known(const Peer& peer) const {
    if (peer.local || peer.fingerprint.empty()) return of(peer, std::nullopt);
    const std::lock_guard lock{mutex_};
    const auto it = trusted_.find(peer.fingerprint);
    if (it == trusted_.end()) return std::nullopt;
    return of(peer, it->second);
}

Identity Authorizer::identify(const Peer& peer) {
    if (peer.local || peer.fingerprint.empty()) return of(peer, std::nullopt);
    std::uint64_t generation = 0;
    {
        const std::lock_guard lock{mutex_};
        generation = generation_;
    }
    const auto certificate = server_.trusted(peer.fingerprint);
    const std::lock_guard lock{mutex_};
    if (certificate && generation == generation_) trusted_[peer.fingerprint] = *certificate;
    return of(peer, certificate);
}

void Authorizer::forget() {
    const std::lock_guard lock{mutex_};
    ++generation_;
    trusted_.clear();
}

bool Authorizer::allows(const Request& request, Permission permission) {
    const Identity& who = request.identity;
    switch (permission) {
    case Permission::Anybody:
        return true;
    case Permission::Trusted:
        return who.trusted;
    case Permission::Project:
        if (who.admin) return true;
        return who.trusted && !request.query_flag("all-projects") &&
               std::find(who.projects.begin(), who.projects.end(), request.project()) != who.projects.end();
    case Permission::Admin:
        return who.admin;
    case Permission::Internal:
        return request.peer.local;
    case Permission::Guest:
        return request.peer.guest && request.peer.guest->root;
    }
    return false;
}

bool is_cross_site(const Request& request) {
    const bool safe = request.method == Method::Get || request.method == Method::Head;
    if (safe && request.header("Upgrade").empty()) return false;
    for (const auto& [name, value] : request.headers) {
        if (iequals(name, "Sec-Fetch-Site") && !iequals(value, "same-origin") && !iequals(value, "none")) return true;
        if (!iequals(name, "Origin")) continue;
        const auto scheme = value.find("://");
        if (scheme == std::string_view::npos) return true; // "null" included
        if (iequals(value.substr(0, scheme), "ws+unix") || iequals(value.substr(0, scheme), "http+unix")) continue;
        if (!iequals(value.substr(scheme + 3), request.header("Host"))) return true;
    }
    return false;
}

} // namespace lxdcore::daemon
