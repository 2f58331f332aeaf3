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

/// Settings, trust store, environment, projects and host resources of this server. Thread-safe. All throw Error
/// NotFound "Certificate not found", "Project not found" for what is unknown, StaleEtag where @p if_match is neither ""
/// nor the etag().
class LXDCORE_API ServerService {
public:
    virtual ~ServerService();

    // --- configuration (GET/PUT/PATCH /1.0) ---
    /// What is set, as clients see it: core.trust_password is "true" when it is.
    virtual api::StringMap config() const = 0;
    /// The effective value, the default when unset; "" for an unknown key.
    virtual std::string get(const std::string& key) const = 0;
    /// PUT: replaces all of it. @throws Error InvalidArgument "cannot set '…' to '…': …" for keys and values that are
    /// wrong or that nothing applies, and what on_change() throws
    virtual void set(const api::StringMap& config, const std::string& if_match) = 0;
    /// PATCH: the same for the keys that are named; "" unsets one.
    virtual void patch(const api::StringMap& config, const std::string& if_match) = 0;
    /// Of config().
    virtual std::string etag() const = 0;
    /// Called after a change with the changed keys, before the call returns; a throw undoes the change. It must not
    /// change settings. Core only.
    virtual void on_change(std::function<void(const api::StringMap& changed)> listener) = 0;
    /// The object of GET /1.0 for a trusted caller without auth, auth_methods and config.
    virtual nlohmann::json environment() const = 0;
    /// Names of what is announced: only what works.
    static const std::vector<std::string>& api_extensions();

    // --- trust store ---
    /// In the order in which they came.
    virtual std::vector<api::Certificate> certificates() const = 0;
    /// By 12 digits of its fingerprint or more. @throws Error InvalidArgument when several match
    virtual api::Certificate certificate(const std::string& fingerprint_or_prefix) const = 0;
    /// Adds a PEM or base64 DER certificate; without a name it gets that of its subject, else @p otherwise. @throws
    /// Error AlreadyExists "Certificate already in trust store", InvalidArgument (unreadable, expired, not valid yet,
    /// type, name)
    virtual api::Certificate add_certificate(const api::CertificatePut& certificate,
                                             const std::string& otherwise = {}) = 0;
    /// Replaces it; without one in @p certificate the other fields. @throws Error Forbidden for another type,
    /// InvalidArgument as add_certificate()
    virtual void update_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                                    const std::string& if_match) = 0;
    /// As update_certificate(), for those who may replace a certificate by another and nothing else (R21). @throws
    /// Error Forbidden "Only the certificate can be changed"
    virtual void rotate_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                                    const std::string& if_match) = 0;
    /// It is trusted no more from here on.
    virtual void remove_certificate(const std::string& fingerprint) = 0;
    /// Of all of it.
    static std::string etag(const api::Certificate& certificate);
    /// The trusted certificate with exactly this SHA-256 fingerprint (lowercase hex), if any.
    virtual std::optional<api::Certificate> trusted(const std::string& fingerprint) const = 0;
    /// True for the right trust password; slow, and delayed for everybody after a failure (D11). Core only. @throws
    /// Error Unavailable when several wait already
    virtual bool check_trust_password(const std::string& password) = 0;
    /// An invitation into the trust store: an operation of class Token. Its metadata {secret, fingerprint, addresses,
    /// request, expiresAt} is what clients make the token of. Used once, cancelled to revoke it, gone with the process.
    /// @throws Error InvalidArgument for anything but a client without a certificate, or while nobody could reach us;
    /// Unavailable beyond 1000 of them
    virtual OperationPtr issue_token(const api::CertificatesPost& request) = 0;
    /// The entry that @p password stands for if it is a token, which is used up by this; unset for any other text. Core
    /// only. @throws Error Forbidden "No matching certificate add operation found", "Token has expired"
    virtual std::optional<api::CertificatePut> redeem_token(const std::string& password) = 0;
    /// PEM file of what the server shows; Core only.
    virtual std::string server_certificate_path() const = 0;
    /// PEM file of its key; Core only.
    virtual std::string server_key_path() const = 0;

    // --- projects and resources ---
    /// By name, with used_by.
    virtual std::vector<api::Project> projects() const = 0;
    /// One of them.
    virtual api::Project project(const std::string& name) const = 0;
    /// GET /1.0/resources; sizes in bytes. What a missing piece of hardware would say is left out, without an error.
    virtual nlohmann::json resources() const = 0;
};

} // namespace lxdcore
