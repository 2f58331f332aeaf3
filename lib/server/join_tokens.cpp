// SPDX-License-Identifier: Apache-2.0
#include "server/join_tokens.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "operation/operation_types.hpp"
#include "util/text.hpp"

namespace lxdcore::server {

namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMaxTokens = 1000;

bool is_text(const nlohmann::json& json, const char* key) {
    return json.contains(key) && json[key].is_string() && !json[key].get_ref<const std::string&>().empty();
}

} // namespace

std::optional<std::string> secret_of_token(const std::string& token) {
    const auto text = text::base64_decode(token);
    if (!text) return std::nullopt;
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object() || !is_text(json, "client_name") || !is_text(json, "fingerprint") ||
        !is_text(json, "secret") || !json.contains("addresses") || !json["addresses"].is_array() ||
        json["addresses"].empty())
        return std::nullopt;
    return json["secret"].get<std::string>();
}

struct JoinTokens::Shared {
    struct Token {
        std::string hash; ///< of the secret
        api::CertificatePut invited;
        std::optional<api::Time> expires_at;
        std::shared_ptr<OperationHandle> handle;
    };
    std::mutex mutex;
    std::vector<Token> tokens;

    /// Taken out by whoever comes first; only that one may use it.
    template <class Match>
    std::optional<Token> take(Match match) {
        const std::lock_guard lock{mutex};
        std::optional<Token> taken;
        for (auto it = tokens.begin(); it != tokens.end();) { // all of them, so that the time says nothing
            const bool wanted = match(*it);
            if (wanted) taken = std::move(*it);
            it = wanted ? tokens.erase(it) : it + 1;
        }
        return taken;
    }
};

JoinTokens::JoinTokens(OperationService& operations) : operations_{operations}, shared_{std::make_shared<Shared>()} {}
JoinTokens::~JoinTokens() = default;

OperationPtr JoinTokens::issue(const api::CertificatesPost& request, const Place& place) {
    {
        const std::lock_guard lock{shared_->mutex};
        if (shared_->tokens.size() >= kMaxTokens) throw Error{ErrorCode::Unavailable, "Too many tokens are waiting"};
    }
    OperationOptions options;
    options.klass = OperationClass::Token;
    options.type = kCertificateAddToken;
    auto handle = operations_.create(std::move(options));
    auto operation = handle->operation();
    const auto secret = text::random_hex(kSecretBytes);
    auto shown = request;
    shown.password.clear();
    nlohmann::json metadata{
        {"secret", secret}, {"fingerprint", place.fingerprint}, {"addresses", place.addresses}, {"request", shown}};
    if (place.expires_at) metadata["expiresAt"] = place.expires_at->str();
    handle->context().update_metadata(metadata);
    auto hash = text::sha256_hex(secret);
    {
        const std::lock_guard lock{shared_->mutex};
        shared_->tokens.push_back({hash, request, place.expires_at, handle});
    }
    operation->on_end([shared = std::weak_ptr<Shared>{shared_}, hash = std::move(hash)] {
        if (const auto tokens = shared.lock()) tokens->take([&](const auto& token) { return token.hash == hash; });
    });
    handle->run();
    return operation;
}

api::CertificatePut JoinTokens::redeem(const std::string& secret) {
    const Error unknown{ErrorCode::Forbidden, "No matching certificate add operation found"};
    const auto hash = text::sha256_hex(secret);
    const auto token =
        shared_->take([&](const auto& candidate) { return text::equal_constant_time(candidate.hash, hash); });
    if (!token) throw unknown;
    try {
        token->handle->operation()->cancel();
    } catch (const Error&) { // revoked a moment ago
        throw unknown;
    }
    if (token->expires_at && api::Time::now().at >= token->expires_at->at)
        throw Error{ErrorCode::Forbidden, "Token has expired"};
    return token->invited;
}

} // namespace lxdcore::server
