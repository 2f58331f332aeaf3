// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Settings, trust store, environment, projects and host resources of this server. Thread-safe.
class LXDCORE_API ServerService {
public:
    virtual ~ServerService();

    // --- configuration (GET/PUT/PATCH /1.0) ---
    virtual api::StringMap config() const = 0; ///< as clients see it: core.trust_password is "true" when set
    virtual std::string get(const std::string& key) const = 0; ///< effective value, the default when unset
    virtual void set(const api::StringMap& config, const std::string& if_match) = 0;   ///< PUT
    virtual void patch(const api::StringMap& config, const std::string& if_match) = 0; ///< PATCH; "" unsets
    virtual std::string etag() const = 0;
    /// Called after a change with the changed keys, before the call returns; a throw undoes the change.
    virtual void on_change(std::function<void(const api::StringMap& changed)> listener) = 0;
    /// The object of GET /1.0 for a trusted caller without auth, auth_methods and config.
    virtual nlohmann::json environment() const = 0;
    static const std::vector<std::string>& api_extensions(); ///< only what works

    // --- trust store ---
    virtual std::vector<api::Certificate> certificates() const = 0;
    virtual api::Certificate certificate(const std::string& fingerprint_or_prefix) const = 0;
    /// Adds a PEM or base64 DER certificate; without a name it gets that of its subject, else @p otherwise.
    /// @throws AlreadyExists "Certificate already in trust store"
    virtual api::Certificate add_certificate(const api::CertificatePut& certificate,
                                             const std::string& otherwise = {}) = 0;
    virtual void update_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                                    const std::string& if_match) = 0;
    /// As update_certificate(), for those who may replace a certificate by another and nothing else (R21).
    /// @throws Forbidden "Only the certificate can be changed"
    virtual void rotate_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                                    const std::string& if_match) = 0;
    virtual void remove_certificate(const std::string& fingerprint) = 0;
    static std::string etag(const api::Certificate& certificate);
    /// The trusted certificate with exactly this SHA-256 fingerprint (lowercase hex), if any.
    virtual std::optional<api::Certificate> trusted(const std::string& fingerprint) const = 0;
    /// True for the right trust password; slow, and delayed for everybody after a failure (D11).
    virtual bool check_trust_password(const std::string& password) = 0;
    /// An invitation into the trust store: an operation of class Token. Its metadata {secret, fingerprint, addresses,
    /// request, expiresAt} is what clients make the token of. Used once, cancelled to revoke it, gone with the process.
    /// @throws InvalidArgument for anything but a client without a certificate, or while nobody could reach us
    virtual OperationPtr issue_token(const api::CertificatesPost& request) = 0;
    /// The entry that @p password stands for if it is a token, which is used up by this; unset for any other text.
    /// @throws Forbidden "No matching certificate add operation found", "Token has expired"
    virtual std::optional<api::CertificatePut> redeem_token(const std::string& password) = 0;
    virtual std::string server_certificate_path() const = 0;
    virtual std::string server_key_path() const = 0;

    // --- projects and resources ---
    virtual std::vector<api::Project> projects() const = 0;
    virtual api::Project project(const std::string& name) const = 0;
    /// GET /1.0/resources. @throws nothing that a missing piece of hardware could cause
    virtual nlohmann::json resources() const = 0;
};

} // namespace lxdcore
