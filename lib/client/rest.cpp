// SPDX-License-Identifier: Apache-2.0
#include "client/rest.hpp"

#include "client/http.hpp"
#include "client/remote_operation.hpp"

namespace lxdcore::client {

namespace {

ErrorCode code_of(unsigned status) {
    switch (status) {
    case 400:
        return ErrorCode::InvalidArgument;
    case 401:
        return ErrorCode::Unauthorized;
    case 403:
        return ErrorCode::Forbidden;
    case 404:
        return ErrorCode::NotFound;
    case 409:
        return ErrorCode::AlreadyExists;
    case 412:
        return ErrorCode::StaleEtag;
    case 413:
        return ErrorCode::TooLarge;
    case 501:
        return ErrorCode::Unsupported;
    case 503:
        return ErrorCode::Unavailable;
    default:
        return ErrorCode::Internal;
    }
}

/// Nobody else holds it any more: what runs on its thread must not wait for that thread, and a child has no such
/// thread.
void end_http(Http* http) {
    if (!http->thread().ours()) return; // its descriptors are the parent's too
    if (http->thread().here())
        std::thread{[http] { delete http; }}.detach();
    else
        delete http;
}

std::string decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            out += static_cast<char>(std::stoi(std::string{text.substr(i + 1, 2)}, nullptr, 16));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

} // namespace

void not_from_afar() {
    throw Error{ErrorCode::Unsupported, "Only the process that owns the state directory can do this"};
}

void throw_if_error(unsigned status, const std::string& body) {
    if (status < 400) return;
    const auto json = nlohmann::json::parse(body, nullptr, false);
    std::string text;
    if (json.is_object() && json.contains("error") && json["error"].is_string()) text = json["error"];
    if (text.empty()) text = "The server answered with status " + std::to_string(status);
    throw Error{code_of(status), text};
}

nlohmann::json metadata_of(const HttpReply& reply) {
    throw_if_error(reply.status, reply.body);
    auto json = nlohmann::json::parse(reply.body, nullptr, false);
    if (!json.is_object()) throw Error{ErrorCode::Internal, "The server's answer is not that of LXD"};
    return json.contains("metadata") ? std::move(json["metadata"]) : nlohmann::json{};
}

std::shared_ptr<Rest> Rest::make(const ClientOptions& options) {
    return std::shared_ptr<Rest>{new Rest{std::shared_ptr<Http>{new Http{options}, end_http}}};
}

HttpReply Rest::send(const std::string& method, const Url& url, const nlohmann::json& body,
                     const std::string& if_match) {
    HttpRequest request{method, url.str()};
    if (!body.is_null()) {
        request.headers.emplace_back("Content-Type", "application/json");
        try {
            request.body = body.dump();
        } catch (const nlohmann::json::exception&) {
            throw Error{ErrorCode::InvalidArgument, "A text is not valid UTF-8"};
        }
    }
    if (!if_match.empty()) request.headers.emplace_back("If-Match", if_match);
    return http_->request(std::move(request));
}

nlohmann::json Rest::call(const std::string& method, const Url& url, const nlohmann::json& body,
                          const std::string& if_match) {
    return metadata_of(send(method, url, body, if_match));
}

OperationPtr Rest::start(const std::string& method, const Url& url, const nlohmann::json& body,
                         const std::string& if_match) {
    return operation_of(send(method, url, body, if_match));
}

OperationPtr Rest::start_or_done(const std::string& method, const Url& url, const nlohmann::json& body) {
    const auto reply = send(method, url, body, {});
    if (reply.status == 202) return operation_of(reply);
    metadata_of(reply);
    return nullptr;
}

OperationPtr Rest::operation_of(const HttpReply& reply) {
    auto metadata = metadata_of(reply);
    if (reply.status != 202) throw Error{ErrorCode::Internal, "The server did not answer with an operation"};
    auto operation = std::make_shared<RemoteOperation>(shared_from_this(), std::move(metadata));
    operation->watch();
    return operation;
}

HttpReply Rest::request(HttpRequest request) { return http_->request(std::move(request)); }
std::unique_ptr<HttpDownload> Rest::download(HttpRequest request) { return http_->download(std::move(request)); }
std::unique_ptr<HttpUpload> Rest::upload(HttpRequest request) { return http_->upload(std::move(request)); }

std::string Rest::text(const Url& url) {
    auto reply = http_->request({"GET", url.str()});
    throw_if_error(reply.status, reply.body);
    return std::move(reply.body);
}

std::vector<std::string> Rest::names(const Url& url) {
    std::vector<std::string> names;
    for (const auto& entry : get(url)) {
        const auto path = entry.get<std::string>();
        const auto plain = std::string_view{path}.substr(0, path.find('?'));
        names.push_back(decode(plain.substr(plain.rfind('/') + 1)));
    }
    return names;
}

} // namespace lxdcore::client
