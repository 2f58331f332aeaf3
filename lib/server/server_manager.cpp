// SPDX-License-Identifier: Apache-2.0
#include "server/server_manager.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/expiry.hpp"
#include "db/config_repository.hpp"
#include "resources/resources.hpp"
#include "server/environment.hpp"
#include "server/join_tokens.hpp"
#include "server/settings.hpp"
#include "server/trust_store.hpp"
#include "util/names.hpp"
#include "util/x509.hpp"

namespace lxdcore {

ServerService::~ServerService() = default;

namespace server {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// Answers of the trust password, one after another; after a wrong one nobody gets an answer for a second (D11).
class PasswordGate {
public:
    bool check(const std::string& password, const std::string& hash) {
        if (hash.empty()) return false;
        constexpr int max_waiting = 4; // more would only pile up threads
        const auto waiting = waiting_.fetch_add(1);
        const std::unique_ptr<std::atomic<int>, void (*)(std::atomic<int>*)> leave{
            &waiting_, [](std::atomic<int>* count) { count->fetch_sub(1); }};
        if (waiting >= max_waiting) throw Error{ErrorCode::Unavailable, "Too many attempts to authenticate"};
        const std::lock_guard lock{mutex_};
        std::this_thread::sleep_until(not_before_);
        if (x509::check_password(password, hash)) return true;
        not_before_ = Clock::now() + 1s;
        std::this_thread::sleep_until(not_before_);
        return false;
    }

private:
    std::atomic<int> waiting_ = 0;
    std::mutex mutex_;
    Clock::time_point not_before_{};
};

class Manager final : public ServerService {
public:
    Manager(db::Database& local, db::Database& global, const Dir& state_dir, EventService& events,
            OperationService& operations, const nlohmann::json& storage_drivers, const Logger& log)
        : global_{global}, state_path_{state_dir.path()}, events_{events}, log_{log}, settings_{local, global},
          trust_{global, events}, tokens_{operations}, fixed_(fixed_environment(storage_drivers)) {
        load_certificate(state_dir);
    }

    api::StringMap config() const override { return settings_.visible(); }
    std::string get(const std::string& key) const override {
        return key == "core.trust_password" ? (settings_.get(key).empty() ? "" : "true") : settings_.get(key);
    }
    void set(const api::StringMap& config, const std::string& if_match) override { change(config, true, if_match); }
    void patch(const api::StringMap& config, const std::string& if_match) override { change(config, false, if_match); }
    std::string etag() const override { return settings_.etag(); }
    void on_change(std::function<void(const api::StringMap&)> listener) override {
        settings_.on_change(std::move(listener));
    }
    nlohmann::json environment() const override;

    std::vector<api::Certificate> certificates() const override { return trust_.list(); }
    api::Certificate certificate(const std::string& fingerprint) const override { return trust_.get(fingerprint); }
    api::Certificate add_certificate(const api::CertificatePut& certificate, const std::string& otherwise) override {
        auto added = trust_.add(certificate, otherwise);
        log_.info("Certificate added to the trust store", {{"fingerprint", added.fingerprint}});
        return added;
    }
    void update_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                            const std::string& if_match) override {
        trust_.update(fingerprint, certificate, if_match, TrustStore::Change::Anything);
        log_.info("Certificate of the trust store changed", {{"fingerprint", fingerprint}});
    }
    void rotate_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                            const std::string& if_match) override {
        trust_.update(fingerprint, certificate, if_match, TrustStore::Change::CertificateOnly);
        log_.info("Certificate of the trust store replaced", {{"fingerprint", fingerprint}});
    }
    void remove_certificate(const std::string& fingerprint) override {
        trust_.remove(fingerprint);
        log_.info("Certificate removed from the trust store", {{"fingerprint", fingerprint}});
    }
    std::optional<api::Certificate> trusted(const std::string& fingerprint) const override {
        return trust_.trusted(fingerprint);
    }
    bool check_trust_password(const std::string& password) override {
        const bool right = gate_.check(password, settings_.trust_password_hash());
        if (!right) log_.warning("Wrong trust password");
        return right;
    }
    OperationPtr issue_token(const api::CertificatesPost& request) override;
    std::optional<api::CertificatePut> redeem_token(const std::string& password) override {
        const auto secret = secret_of_token(password);
        return secret ? std::optional{tokens_.redeem(*secret)} : std::nullopt;
    }
    std::string server_certificate_path() const override { return state_path_ + "/server.crt"; }
    std::string server_key_path() const override { return state_path_ + "/server.key"; }

    std::vector<api::Project> projects() const override {
        return global_.read_value([](db::Transaction& tx) { return db::ProjectRepository::list(tx); });
    }
    api::Project project(const std::string& name) const override {
        for (auto& project : projects())
            if (project.name == name) return project;
        throw Error{ErrorCode::NotFound, "Project not found"};
    }
    nlohmann::json resources() const override { return resources::all(); }

private:
    void change(const api::StringMap& config, bool replace, const std::string& if_match) {
        if (!settings_.change(config, replace, if_match)) return;
        {
            const std::lock_guard lock{cache_mutex_};
            built_at_ = {};
        }
        events_.lifecycle("default", "config-updated", "/1.0", nullptr);
    }
    void load_certificate(const Dir& state_dir);
    nlohmann::json build() const;

    db::Database& global_;
    std::string state_path_;
    EventService& events_;
    const Logger& log_;
    Settings settings_;
    TrustStore trust_;
    JoinTokens tokens_;
    PasswordGate gate_;
    nlohmann::json fixed_;
    mutable std::mutex cache_mutex_;
    mutable Clock::time_point built_at_{};
    mutable nlohmann::json cached_;
};

void Manager::load_certificate(const Dir& state_dir) {
    // The key is written first: a certificate without its key means that somebody took the key away.
    if (!state_dir.exists("server.crt")) {
        const auto pair = x509::make_server_certificate(host_name());
        state_dir.write("server.key", pair.key, 0600);
        state_dir.write("server.crt", pair.certificate, 0600);
    }
    if (!state_dir.exists("server.key"))
        throw Error{ErrorCode::Internal, fmt::format("{}/server.crt is there, but its server.key is not", state_path_)};
    const auto certificate = x509::parse(state_dir.read("server.crt"));
    fixed_["certificate"] = certificate.pem;
    fixed_["certificate_fingerprint"] = certificate.fingerprint;
}

OperationPtr Manager::issue_token(const api::CertificatesPost& request) {
    if (!request.certificate.empty())
        throw Error{ErrorCode::InvalidArgument, "Can't use certificate if token is requested"};
    if (request.type != "client")
        throw Error{ErrorCode::InvalidArgument, "Tokens can only be issued for client certificates"};
    if (names::has_control(request.name) || !names::is_utf8(request.name))
        throw Error{ErrorCode::InvalidArgument, "Invalid certificate name"};
    const auto addresses = reachable_addresses(settings_.get("core.https_address"));
    if (addresses.empty())
        throw Error{ErrorCode::InvalidArgument, "Can't issue token when server isn't listening on network"};
    return tokens_.issue(request, {.fingerprint = fixed_["certificate_fingerprint"].get<std::string>(),
                                   .addresses = addresses,
                                   .expires_at = lxdcore::config::expiry_of(settings_.get("core.remote_token_expiry"),
                                                                            api::Time::now())});
}

nlohmann::json Manager::build() const {
    auto environment = fixed_;
    environment["addresses"] = reachable_addresses(settings_.get("core.https_address"));
    std::string drivers;
    std::string versions;
    global_.read([&](db::Transaction& tx) {
        auto rows = tx.query("SELECT DISTINCT driver FROM storage_pools ORDER BY driver");
        while (rows.next()) {
            if (!drivers.empty()) {
                drivers += " | ";
                versions += " | ";
            }
            drivers += rows.text(0);
            for (const auto& known : environment["storage_supported_drivers"])
                if (known.at("Name") == rows.text(0)) versions += known.at("Version").get<std::string>();
        }
    });
    environment["storage"] = drivers;
    environment["storage_version"] = versions;
    return {{"api_extensions", api_extensions()},
            {"api_status", "stable"},
            {"api_version", "1.0"},
            {"environment", std::move(environment)},
            {"public", false}};
}

nlohmann::json Manager::environment() const {
    constexpr auto fresh = 1s; // addresses and pools change without telling us
    const std::lock_guard lock{cache_mutex_};
    const auto now = Clock::now();
    if (built_at_ == Clock::time_point{} || now - built_at_ > fresh) {
        cached_ = build();
        built_at_ = now;
    }
    return cached_;
}

} // namespace

std::unique_ptr<ServerService> make_server_manager(db::Database& local, db::Database& global, const Dir& state_dir,
                                                   EventService& events, OperationService& operations,
                                                   const nlohmann::json& storage_drivers, const Logger& log) {
    return std::make_unique<Manager>(local, global, state_dir, events, operations, storage_drivers, log);
}

} // namespace server

} // namespace lxdcore
