// SPDX-License-Identifier: Apache-2.0
#include "server_info.hpp"

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

namespace lxdcore::daemon {

namespace {
/// What changes without us (addresses, kernel) may be this old.
constexpr std::chrono::seconds kMaxAge{5};

std::shared_ptr<const std::string> encode(const nlohmann::json& json) {
    return std::make_shared<const std::string>(sync_envelope(api::encode_json(json)));
}
} // namespace

Response ServerInfo::answer(const Answers& answers, const Identity& identity) {
    Response response;
    response.set("Content-Type", "application/json");
    if (identity.trusted) response.set("ETag", '"' + answers.etag + '"');
    response.body.emplace_back(!identity.trusted ? answers.untrusted
                               : identity.admin  ? answers.admin
                                                 : answers.trusted);
    return response;
}

std::optional<Response> ServerInfo::cached(const Identity& identity) const {
    std::shared_ptr<const Answers> answers;
    {
        const std::lock_guard lock{mutex_};
        answers = answers_;
    }
    if (!answers || answers->generation != generation_ || std::chrono::steady_clock::now() - answers->made > kMaxAge)
        return std::nullopt;
    return answer(*answers, identity);
}

Response ServerInfo::fresh(const Identity& identity) {
    auto answers = std::make_shared<Answers>();
    answers->generation = generation_;
    answers->made = std::chrono::steady_clock::now();
    auto json = server_.environment();
    json["auth_methods"] = nlohmann::json::array({"tls"});
    nlohmann::json reduced = nlohmann::json::object();
    for (const auto* key : {"api_extensions", "api_status", "api_version", "public", "auth_methods"})
        if (json.contains(key)) reduced[key] = json[key];
    reduced["auth"] = "untrusted";
    answers->untrusted = encode(reduced);
    json["auth"] = "trusted";
    answers->trusted = encode(json);
    json["config"] = server_.config();
    // the one value that is not shown: only that there is one, and not as text
    if (json["config"].contains("core.trust_password")) json["config"]["core.trust_password"] = true;
    answers->admin = encode(json);
    answers->etag = server_.etag();
    auto response = answer(*answers, identity);
    const std::lock_guard lock{mutex_};
    answers_ = std::move(answers);
    return response;
}

} // namespace lxdcore::daemon
