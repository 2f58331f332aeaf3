// SPDX-License-Identifier: Apache-2.0
#include "http/exchange.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/certificates";
/// A certificate and a password; what an unknown caller may make us hold.
constexpr std::uint64_t kMaxRequest = 256 * 1024;
/// Password checks that may wait in line; each takes a second after a failure.
constexpr std::size_t kMaxWaiting = 32;

Response list(const Request& request, App& app) {
    auto reply = nlohmann::json::array();
    for (const auto& certificate : app.core.server.certificates()) {
        if (!request.identity.admin && certificate.fingerprint != request.peer.fingerprint) continue;
        reply.push_back(request.recursion() == 0 ? nlohmann::json(kBase + "/" + certificate.fingerprint)
                                                 : nlohmann::json(certificate));
    }
    return Response::sync(reply);
}

Response get(const Request& request, App& app) {
    const auto certificate = app.core.server.certificate(request.param("fingerprint"));
    if (!request.identity.admin && certificate.fingerprint != request.peer.fingerprint)
        throw Error{ErrorCode::NotFound, "Certificate not found"};
    return Response::sync(certificate, ServerService::etag(certificate));
}

/// The caller's own certificate, as the transport has proved it.
std::string own_certificate(const Request& request) {
    if (request.peer.certificate.empty()) throw Error{ErrorCode::InvalidArgument, "No client certificate provided"};
    return request.peer.certificate;
}

/// What a caller that is no administrator may add: itself as its token says, or anything with the trust password. A
/// restricted certificate alone vouches for nobody (R21).
api::CertificatePut admitted(const Request& request, App& app, const api::CertificatesPost& body) {
    if (!body.token) {
        if (auto invited = app.core.server.redeem_token(body.password)) {
            invited->certificate = own_certificate(request);
            return std::move(*invited);
        }
        if (app.core.server.check_trust_password(body.password)) {
            api::CertificatePut certificate = body;
            if (certificate.certificate.empty()) certificate.certificate = own_certificate(request);
            return certificate;
        }
    }
    app.log.warning("Bad trust password", {{"ip", request.peer.address}});
    throw Error{ErrorCode::Forbidden, "not authorized"};
}

Response add(const Request& request, App& app) {
    const auto body = decode<api::CertificatesPost>(request);
    if (request.identity.trusted && body.certificate.empty() && !body.token)
        throw Error{ErrorCode::InvalidArgument, "Client is already trusted"};
    if (request.identity.admin && body.token) return Response::operation(app.core.server.issue_token(body));
    const auto host = request.peer.address.substr(0, request.peer.address.rfind(':'));
    const api::CertificatePut wanted =
        request.identity.admin ? api::CertificatePut{body} : admitted(request, app, body);
    const auto added = app.core.server.add_certificate(wanted, host);
    app.auth.forget();
    app.info.invalidate();
    return Response::created(kBase + "/" + added.fingerprint);
}

Awaitable<Response> post(Exchange& exchange) {
    Request& request = exchange.request;
    App& app = exchange.app;
    if (!request.identity.admin && app.password_workers.queued() > kMaxWaiting)
        throw HttpError{503, "Too many attempts", true};
    request.body = co_await exchange.body.read_all(kMaxRequest);
    auto work = [&] {
        const CallerScope scope{request.identity.caller};
        return add(request, app);
    };
    Workers& workers = request.identity.admin ? app.workers : app.password_workers;
    co_return co_await workers.run(work);
}

/// Administrators may change everything; others replace their own certificate, and find no other (R21).
Response change(const Request& request, App& app, const api::CertificatePut& certificate) {
    const auto& fingerprint = request.param("fingerprint");
    if (request.identity.admin) {
        app.core.server.update_certificate(fingerprint, certificate, request.if_match());
    } else {
        if (app.core.server.certificate(fingerprint).fingerprint != request.peer.fingerprint)
            throw Error{ErrorCode::NotFound, "Certificate not found"};
        app.core.server.rotate_certificate(fingerprint, certificate, request.if_match());
    }
    app.auth.forget();
    return Response::empty();
}

Response put(const Request& request, App& app) { return change(request, app, decode<api::CertificatePut>(request)); }

Response patch(const Request& request, App& app) {
    api::CertificatePut certificate = app.core.server.certificate(request.param("fingerprint"));
    nlohmann::json merged = certificate;
    merged.merge_patch(request.json());
    return change(request, app, merged.get<api::CertificatePut>());
}

Response remove(const Request& request, App& app) {
    app.core.server.remove_certificate(request.param("fingerprint"));
    app.auth.forget();
    return Response::empty();
}

} // namespace

void add_certificate_routes(Router& router) {
    router.add(Method::Get, "/1.0/certificates", Permission::Trusted, list);
    router.add(Method::Post, "/1.0/certificates", Permission::Anybody, post);
    router.add(Method::Get, "/1.0/certificates/{fingerprint}", Permission::Trusted, get);
    router.add(Method::Put, "/1.0/certificates/{fingerprint}", Permission::Trusted, put);
    router.add(Method::Patch, "/1.0/certificates/{fingerprint}", Permission::Trusted, patch);
    router.add(Method::Delete, "/1.0/certificates/{fingerprint}", Permission::Admin, remove);
}

} // namespace lxdcore::daemon
