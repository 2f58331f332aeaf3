// SPDX-License-Identifier: Apache-2.0
#include "config/expiry.hpp"
#include "server/join_tokens.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <thread>

#include <nlohmann/json.hpp>

#include "event/event_hub.hpp"
#include "operation/operation_manager.hpp"
#include "util/text.hpp"

using namespace lxdcore;

namespace {

struct Fixture {
    Logger log;
    Reactor reactor;
    WorkerPool pool{2};
    std::unique_ptr<EventService> events = make_event_service();
    std::unique_ptr<OperationService> operations = make_operation_service(*events, pool, reactor, log);
    server::JoinTokens tokens{*operations};

    OperationPtr issue(const std::string& name = "laptop", std::optional<api::Time> expires_at = std::nullopt) {
        api::CertificatesPost request;
        request.name = name;
        request.type = "client";
        request.restricted = true;
        request.projects = {"default"};
        request.password = "typed by mistake";
        request.token = true;
        return tokens.issue(request, {std::string(64, 'f'), {"127.0.0.1:8443"}, expires_at});
    }
    std::string redeemed(const std::string& secret) {
        try {
            return tokens.redeem(secret).name;
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::Forbidden);
            return error.what();
        }
    }
};

std::string secret_of(const OperationPtr& operation) { return operation->to_json(true)["metadata"]["secret"]; }

const std::string kUnknown = "No matching certificate add operation found";

std::string expiry(const std::string& expression, const std::string& from = "2026-01-31T12:00:00.5Z") {
    const auto time = config::expiry_of(expression, api::Time::parse(from));
    return time ? time->str() : "never";
}

std::string packed(const nlohmann::json& json) { return text::base64(json.dump()); }

} // namespace

TEST_CASE_FIXTURE(Fixture, "a token is a running operation that holds what clients make the token of") {
    const auto json = issue()->to_json(true);
    CHECK(json["class"] == "token");
    CHECK(json["status"] == "Running");
    CHECK(json["may_cancel"] == true);
    CHECK(json["description"] == "Executing operation");
    CHECK(json["metadata"]["fingerprint"] == std::string(64, 'f'));
    CHECK(json["metadata"]["addresses"] == nlohmann::json{"127.0.0.1:8443"});
    CHECK(json["metadata"]["request"]["name"] == "laptop");
    CHECK(json["metadata"]["request"]["token"] == true);
    CHECK_FALSE(json["metadata"].contains("expiresAt"));
}

TEST_CASE_FIXTURE(Fixture, "R20: secrets have 256 bits, differ, and are shown to nobody else") {
    const auto a = issue(), b = issue();
    CHECK(secret_of(a).size() == 64);
    CHECK(secret_of(a).find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(secret_of(a) != secret_of(b));
    CHECK_FALSE(a->to_json(false)["metadata"].contains("secret"));
    CHECK(a->to_json(true)["metadata"]["request"]["password"] == "");
}

TEST_CASE_FIXTURE(Fixture, "R20: a token lets one in as it says, and no second one") {
    const auto operation = issue();
    const auto secret = secret_of(operation);
    const auto invited = tokens.redeem(secret);
    CHECK(invited.name == "laptop");
    CHECK(invited.type == "client");
    CHECK(invited.restricted);
    CHECK(invited.projects == std::vector<std::string>{"default"});
    CHECK(operation->status() == api::Status::Cancelled);
    CHECK(redeemed(secret) == kUnknown);
}

TEST_CASE_FIXTURE(Fixture, "R20: of many who come at once with the same token one gets in") {
    for (int round = 0; round < 20; ++round) {
        const auto secret = secret_of(issue());
        std::atomic<int> in = 0;
        std::vector<std::thread> all;
        for (int i = 0; i < 8; ++i)
            all.emplace_back([&] {
                try {
                    tokens.redeem(secret);
                    ++in;
                } catch (const Error&) { // too late
                }
            });
        for (auto& one : all)
            one.join();
        CHECK(in == 1);
    }
}

TEST_CASE_FIXTURE(Fixture, "R20: other secrets, prefixes and the hash itself open nothing") {
    const auto secret = secret_of(issue());
    for (const auto& wrong :
         {std::string{}, secret.substr(1), secret + "0", text::sha256_hex(secret), std::string(64, '0')})
        CHECK(redeemed(wrong) == kUnknown);
    CHECK(redeemed(secret) == "laptop");
}

TEST_CASE_FIXTURE(Fixture, "R20: a revoked token is worth nothing") {
    const auto operation = issue();
    operation->cancel();
    CHECK(operation->status() == api::Status::Cancelled);
    CHECK(redeemed(secret_of(operation)) == kUnknown);
}

TEST_CASE_FIXTURE(Fixture, "R20: an expired token lets nobody in, and is used up by the attempt") {
    const auto operation = issue("laptop", api::Time::from_unix(api::Time::now().unix_seconds() - 1));
    CHECK(operation->to_json(true)["metadata"].contains("expiresAt"));
    CHECK(redeemed(secret_of(operation)) == "Token has expired");
    CHECK(operation->status() == api::Status::Cancelled);
    CHECK(redeemed(secret_of(operation)) == kUnknown);
    CHECK(redeemed(secret_of(issue("b", api::Time::from_unix(api::Time::now().unix_seconds() + 3600)))) == "b");
}

TEST_CASE_FIXTURE(Fixture, "nothing waits for tokens, and their number is bounded") {
    issue();
    CHECK(operations->running() == 0);
    operations->drain(std::chrono::minutes{1});
    Fixture full;
    for (int i = 0; i < 1000; ++i)
        full.issue();
    CHECK_THROWS_AS(full.issue(), Error);
}

TEST_CASE("expiry expressions count as LXD's do") {
    CHECK(expiry("") == "never");
    CHECK(expiry(" 3S") == "2026-01-31T12:00:03.5Z");
    CHECK(expiry("1y 1m 1w 1d 1H 1M 1S", "2026-11-23T23:43:33Z") == "2028-01-01T00:44:34Z");
    CHECK(expiry("1m") == "2026-03-03T12:00:00.5Z"); // there is no 31st of February
    CHECK(expiry("1S 1H") == "2026-01-31T13:00:01.5Z");
    CHECK(expiry("9999999999y") == "2255-03-14T16:00:00.5Z");
    for (const auto* wrong : {"soon", "3s", "-1d", "1d 1d", "3S4M", "1S  2M", "S", "1"})
        CHECK_THROWS_AS(expiry(wrong), Error);
}

TEST_CASE("only a complete token is one") {
    const nlohmann::json good{
        {"client_name", "a"}, {"fingerprint", "f"}, {"addresses", {"127.0.0.1:8443"}}, {"secret", "s"}};
    CHECK(server::secret_of_token(packed(good)) == "s");
    for (const auto* key : {"client_name", "fingerprint", "addresses", "secret"}) {
        auto part = good;
        part.erase(key);
        CHECK_FALSE(server::secret_of_token(packed(part)));
        for (const auto& value : std::vector<nlohmann::json>{nullptr, "", 7, nlohmann::json::array()}) {
            part[key] = value;
            CHECK_FALSE(server::secret_of_token(packed(part)));
        }
    }
    for (const auto* text : {"", "sekret", "!!!", "e30=", "W10=", "eyJ"})
        CHECK_FALSE(server::secret_of_token(text));
}
