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

api::CertificatePut requested_certificate(const Request& request, const api::CertificatesPost& post) {
    if (post.token) throw Error{ErrorCode::Unsupported, "not implemented"};
    api::CertificatePut certificate = post;
    if (certificate.type.empty()) certificate.type = "client";
    if (!certificate.certificate.empty()) return certificate;
    if (request.identity.trusted) throw Error{ErrorCode::InvalidArgument, "Client is already trusted"};
    if (request.peer.certificate.empty()) throw Error{ErrorCode::InvalidArgument, "No client certificate provided"};
    certificate.certificate = request.peer.certificate;
    if (certificate.name.empty()) certificate.name = request.peer.address.substr(0, request.peer.address.rfind(':'));
    return certificate;
}

Awaitable<Response> post(Exchange& exchange) {
    Request& request = exchange.request;
    App& app = exchange.app;
    if (!request.identity.trusted && app.password_workers.queued() > kMaxWaiting)
        throw HttpError{503, "Too many attempts", true};
    request.body = co_await exchange.body.read_all(kMaxRequest);
    auto add = [&] {
        const CallerScope scope{request.identity.caller};
        const auto body = decode<api::CertificatesPost>(request);
        // a restricted certificate must not vouch for others (R21)
        const bool vouched = request.identity.admin;
        if (!vouched && (request.identity.trusted || !app.core.server.check_trust_password(body.password))) {
            app.log.warning("Bad trust password", {{"ip", request.peer.address}});
            throw Error{ErrorCode::Forbidden, "not authorized"};
        }
        const auto added = app.core.server.add_certificate(requested_certificate(request, body));
        app.auth.forget();
        app.info.invalidate();
        return Response::created(kBase + "/" + added.fingerprint);
    };
    Workers& workers = request.identity.trusted ? app.workers : app.password_workers;
    co_return co_await workers.run(add);
}

Response put(const Request& request, App& app) {
    app.core.server.update_certificate(request.param("fingerprint"), decode<api::CertificatePut>(request),
                                       request.if_match());
    app.auth.forget();
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    api::CertificatePut certificate = app.core.server.certificate(request.param("fingerprint"));
    nlohmann::json merged = certificate;
    merged.merge_patch(request.json());
    app.core.server.update_certificate(request.param("fingerprint"), merged.get<api::CertificatePut>(),
                                       request.if_match());
    app.auth.forget();
    return Response::empty();
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
    router.add(Method::Put, "/1.0/certificates/{fingerprint}", Permission::Admin, put);
    router.add(Method::Patch, "/1.0/certificates/{fingerprint}", Permission::Admin, patch);
    router.add(Method::Delete, "/1.0/certificates/{fingerprint}", Permission::Admin, remove);
}

} // namespace lxdcore::daemon
