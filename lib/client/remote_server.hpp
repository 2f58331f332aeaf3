// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/server_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Settings, trust store and projects of the server. Thread-safe.
class RemoteServer final : public ServerService {
public:
    explicit RemoteServer(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}

    api::StringMap config() const override;
    std::string get(const std::string& key) const override; ///< "" where the server does not say, also for defaults
    void set(const api::StringMap& config, const std::string& if_match) override;
    void patch(const api::StringMap& config, const std::string& if_match) override;
    std::string etag() const override;
    void on_change(std::function<void(const api::StringMap&)>) override { not_from_afar(); }
    nlohmann::json environment() const override;

    std::vector<api::Certificate> certificates() const override;
    api::Certificate certificate(const std::string& fingerprint_or_prefix) const override;
    api::Certificate add_certificate(const api::CertificatePut& certificate, const std::string& otherwise) override;
    void update_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                            const std::string& if_match) override;
    void rotate_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                            const std::string& if_match) override;
    void remove_certificate(const std::string& fingerprint) override;
    std::optional<api::Certificate> trusted(const std::string& fingerprint) const override;
    bool check_trust_password(const std::string&) override { not_from_afar(); }
    OperationPtr issue_token(const api::CertificatesPost& request) override;
    std::optional<api::CertificatePut> redeem_token(const std::string&) override { not_from_afar(); }
    std::string server_certificate_path() const override { not_from_afar(); }
    std::string server_key_path() const override { not_from_afar(); }

    std::vector<api::Project> projects() const override;
    api::Project project(const std::string& name) const override;
    nlohmann::json resources() const override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
