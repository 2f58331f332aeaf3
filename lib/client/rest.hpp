// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include <lxdcore/operation.hpp>

#include "client/http_message.hpp"
#include "client/url.hpp"

namespace lxdcore {
struct ClientOptions;
}

namespace lxdcore::client {

class Http;

/// The REST API: JSON in envelopes, errors as exceptions. Shared by all services and operations of a client, which live
/// as long as the last of them. Thread-safe.
class Rest : public std::enable_shared_from_this<Rest> {
public:
    static std::shared_ptr<Rest> make(const ClientOptions& options);

    nlohmann::json get(const Url& url) { return call("GET", url); }
    template <class T>
    T get_as(const Url& url) {
        return get(url).get<T>();
    }
    /// The metadata of the answer. @p body null: none.
    nlohmann::json call(const std::string& method, const Url& url, const nlohmann::json& body = nullptr,
                        const std::string& if_match = {});
    /// The same for what answers with an operation, which is watched from here on.
    OperationPtr start(const std::string& method, const Url& url, const nlohmann::json& body = nullptr,
                       const std::string& if_match = {});
    /// The same; null when the server has done it at once.
    OperationPtr start_or_done(const std::string& method, const Url& url, const nlohmann::json& body);
    /// The answer to an upload, or to a request that was made elsewhere.
    OperationPtr operation_of(const HttpReply& reply);
    HttpReply request(HttpRequest request);
    std::unique_ptr<HttpDownload> download(HttpRequest request);
    std::unique_ptr<HttpUpload> upload(HttpRequest request); ///< chunked
    std::string text(const Url& url);                        ///< an answer without an envelope
    /// The ends of a list of URLs, decoded.
    std::vector<std::string> names(const Url& url);
    const std::shared_ptr<Http>& http() const noexcept { return http_; }

private:
    explicit Rest(std::shared_ptr<Http> http) : http_{std::move(http)} {}
    HttpReply send(const std::string& method, const Url& url, const nlohmann::json& body, const std::string& if_match);
    std::shared_ptr<Http> http_;
};

/// The metadata of an answer. @throws Error with the server's text
nlohmann::json metadata_of(const HttpReply& reply);
[[noreturn]] void not_from_afar();

} // namespace lxdcore::client
