// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <openssl/crypto.h>

#include "routes/common.hpp"
#include "routes/filter.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

const std::string kBase = "/1.0/images";

/// Others than trusted callers see the public images of the default project, whatever they ask for (R31, D6).
std::string visible_project(const Request& request) {
    return Authorizer::allows(request, Permission::Project) ? request.project() : "default";
}

bool public_only(const Request& request) { return !Authorizer::allows(request, Permission::Project); }

bool same_secret(const std::string& a, const std::string& b) {
    return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// The token operation of POST …/secret that ?secret= belongs to, if any.
OperationPtr token_of(const Request& request, App& app, const std::string& fingerprint) {
    const auto secret = request.query("secret");
    if (secret.empty()) return nullptr;
    for (const auto& operation : app.core.operations.list(Caller{}, "")) {
        if (api::is_final(operation->status())) continue;
        const auto json = operation->to_json(true);
        if (json.value("class", "") != "token" || !json["resources"].is_object()) continue;
        const auto& metadata = json["metadata"];
        if (!metadata.is_object() || !same_secret(metadata.value("secret", ""), secret)) continue;
        const auto images = json["resources"].value("images", std::vector<std::string>{});
        for (const auto& url : images)
            if (url.starts_with(kBase + "/" + fingerprint)) return operation;
    }
    return nullptr;
}

Response list(const Request& request, App& app) {
    const auto filter = Filter::parse(request.query("filter"));
    const auto project = visible_project(request);
    auto reply = nlohmann::json::array();
    if (request.recursion() == 0 && filter.empty()) {
        for (const auto& fingerprint : app.core.images.fingerprints(project, public_only(request)))
            reply.push_back(kBase + "/" + fingerprint);
        return Response::sync(reply);
    }
    for (const auto& image : app.core.images.list(project, public_only(request))) {
        nlohmann::json json = image;
        if (!filter.matches(json)) continue;
        reply.push_back(request.recursion() == 0 ? nlohmann::json(kBase + "/" + image.fingerprint) : std::move(json));
    }
    return Response::sync(reply);
}

Response get(const Request& request, App& app) {
    const auto& fingerprint = request.param("fingerprint");
    const bool hidden = public_only(request) && !token_of(request, app, fingerprint);
    const auto image = app.core.images.get(visible_project(request), fingerprint, hidden);
    return Response::sync(image, ImageService::etag(image));
}

Response put(const Request& request, App& app) {
    app.core.images.update(request.project(), request.param("fingerprint"), decode<api::ImagePut>(request),
                           request.if_match());
    return Response::empty();
}

Response patch(const Request& request, App& app) {
    app.core.images.patch(request.project(), request.param("fingerprint"), decode<api::ImagePatch>(request),
                          request.if_match());
    return Response::empty();
}

Response remove(const Request& request, App& app) {
    return Response::operation(app.core.images.remove(request.project(), request.param("fingerprint")));
}

/// Names in a multipart header must not end the quoted text.
std::string quoted(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

Response multipart(std::vector<FileBody> files, const std::vector<std::string>& names) {
    // any text that is no line of the files would do; a name taken from the content is unguessable for who made it
    const std::string boundary = fmt::format("lxdcore{:016x}{:016x}", reinterpret_cast<std::uintptr_t>(files.data()),
                                             std::chrono::steady_clock::now().time_since_epoch().count());
    Response response;
    response.set("Content-Type", "multipart/form-data; boundary=" + boundary);
    for (std::size_t i = 0; i < files.size(); ++i) {
        response.body.emplace_back(fmt::format("{}--{}\r\nContent-Disposition: form-data; name=\"{}\"; "
                                               "filename=\"{}\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                                               i == 0 ? "" : "\r\n", boundary, i == 0 ? "metadata" : "rootfs",
                                               quoted(names[i])));
        response.body.emplace_back(std::move(files[i]));
    }
    response.body.emplace_back(fmt::format("\r\n--{}--\r\n", boundary));
    return response;
}

Response export_image(const Request& request, App& app) {
    const auto& fingerprint = request.param("fingerprint");
    const auto token = public_only(request) ? token_of(request, app, fingerprint) : nullptr;
    const auto files =
        app.core.images.open_export(visible_project(request), fingerprint, public_only(request) && !token);
    std::vector<FileBody> bodies;
    std::vector<std::string> names;
    for (const auto& file : files) {
        bodies.push_back(file_body(file.fd, file.size));
        names.push_back(file.name);
    }
    if (token) token->cancel(); // good for one download
    if (bodies.size() > 1) return multipart(std::move(bodies), names);
    auto response = Response::file(std::move(bodies.at(0)), "application/octet-stream");
    response.set("Content-Disposition", "inline;filename=" + names.at(0));
    return response;
}

Response create_secret(const Request& request, App& app) {
    return Response::operation(app.core.images.create_secret(request.project(), request.param("fingerprint")));
}

Response refresh(const Request& request, App& app) {
    return Response::operation(app.core.images.refresh(request.project(), request.param("fingerprint")));
}

} // namespace

void add_image_routes(Router& router) {
    router.add(Method::Get, "/1.0/images", Permission::Anybody, list);
    router.add(Method::Get, "/1.0/images/{fingerprint}", Permission::Anybody, get);
    router.add(Method::Put, "/1.0/images/{fingerprint}", Permission::Project, put);
    router.add(Method::Patch, "/1.0/images/{fingerprint}", Permission::Project, patch);
    router.add(Method::Delete, "/1.0/images/{fingerprint}", Permission::Project, remove);
    router.add(Method::Get, "/1.0/images/{fingerprint}/export", Permission::Anybody, export_image);
    router.add(Method::Post, "/1.0/images/{fingerprint}/secret", Permission::Project, create_secret);
    router.add(Method::Post, "/1.0/images/{fingerprint}/refresh", Permission::Project, refresh);
}

} // namespace lxdcore::daemon
