// SPDX-License-Identifier: Apache-2.0
#include "server/trust_store.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/service/server_service.hpp>

#include "db/certificate_repository.hpp"
#include "util/names.hpp"
#include "util/text.hpp"
#include "util/x509.hpp"

namespace lxdcore {

std::string ServerService::etag(const api::Certificate& certificate) {
    // LXD hashes the whole struct, whose fields have an order of their own.
    const auto field = [](const char* name, const nlohmann::json& value) {
        return fmt::format("\"{}\":{}", name, api::encode_json(value));
    };
    const auto text =
        fmt::format("{{{},{},{},{},{},{}}}\n", field("name", certificate.name), field("type", certificate.type),
                    field("restricted", certificate.restricted), field("projects", certificate.projects),
                    field("certificate", certificate.certificate), field("fingerprint", certificate.fingerprint));
    return text::sha256_hex(text);
}

namespace server {

namespace {

using db::CertificateRepository;

std::int64_t now() { return api::Time::now().unix_seconds(); }

/// Checked and completed: PEM form, fingerprint, type.
api::Certificate complete(const api::CertificatePut& put, const std::string& otherwise) {
    if (!put.type.empty() && put.type != "client" && put.type != "server" && put.type != "metrics")
        throw Error{ErrorCode::InvalidArgument, "Invalid certificate type"};
    const auto parsed = x509::parse(put.certificate);
    auto name = put.name;
    if (name.empty()) name = parsed.common_name.empty() ? otherwise : parsed.common_name;
    if (names::has_control(name) || !names::is_utf8(name))
        throw Error{ErrorCode::InvalidArgument, "Invalid certificate name"};
    if (parsed.not_after < now()) throw Error{ErrorCode::InvalidArgument, "The provided certificate is expired"};
    if (parsed.not_before > now()) throw Error{ErrorCode::InvalidArgument, "The provided certificate isn't valid yet"};
    api::Certificate certificate;
    static_cast<api::CertificatePut&>(certificate) = put;
    certificate.name = name;
    if (certificate.type.empty()) certificate.type = "client";
    certificate.certificate = parsed.pem;
    certificate.fingerprint = parsed.fingerprint;
    return certificate;
}

} // namespace

TrustStore::TrustStore(db::Database& global, EventService& events) : global_{global}, events_{events} { reload(); }

void TrustStore::reload() {
    auto rows = global_.read_value([](db::Transaction& tx) { return CertificateRepository::list(tx); });
    std::vector<Entry> entries;
    for (auto& row : rows) {
        Entry entry{.certificate = std::move(row)};
        try {
            const auto parsed = x509::parse(entry.certificate.certificate);
            // A row whose fingerprint is not that of its certificate is listed but never trusted.
            if (parsed.fingerprint == entry.certificate.fingerprint) {
                entry.not_before = parsed.not_before;
                entry.not_after = parsed.not_after;
            }
        } catch (const Error&) { // the same for one that cannot be read
        }
        entries.push_back(std::move(entry));
    }
    const std::lock_guard lock{mutex_};
    entries_ = std::move(entries);
}

void TrustStore::publish(const std::string& action, const std::string& fingerprint) {
    events_.lifecycle("default", action, "/1.0/certificates/" + fingerprint, nullptr);
}

std::vector<api::Certificate> TrustStore::list() const {
    const std::lock_guard lock{mutex_};
    std::vector<api::Certificate> certificates;
    for (const auto& entry : entries_)
        certificates.push_back(entry.certificate);
    return certificates;
}

api::Certificate TrustStore::get(const std::string& fingerprint_or_prefix) const {
    const auto wanted = text::lower(fingerprint_or_prefix);
    const std::lock_guard lock{mutex_};
    const Entry* found = nullptr;
    if (wanted.size() >= 12)
        for (const auto& entry : entries_) {
            if (!entry.certificate.fingerprint.starts_with(wanted)) continue;
            if (found != nullptr) throw Error{ErrorCode::InvalidArgument, "More than one certificate matches"};
            found = &entry;
        }
    if (found == nullptr) throw Error{ErrorCode::NotFound, "Certificate not found"};
    return found->certificate;
}

api::Certificate TrustStore::add(const api::CertificatePut& put, const std::string& otherwise) {
    const auto certificate = complete(put, otherwise);
    try {
        global_.write([&](db::Transaction& tx) { CertificateRepository::insert(tx, certificate); });
    } catch (const Error& error) {
        if (error.code() == ErrorCode::AlreadyExists)
            throw Error{ErrorCode::AlreadyExists, "Certificate already in trust store"};
        throw;
    }
    reload();
    publish("certificate-created", certificate.fingerprint);
    return certificate;
}

void TrustStore::update(const std::string& fingerprint, const api::CertificatePut& put, const std::string& if_match,
                        Change allowed) {
    const auto before = get(fingerprint);
    api::check_etag(ServerService::etag(before), if_match);
    auto wanted = put;
    if (wanted.certificate.empty()) wanted.certificate = before.certificate;
    if (wanted.type != before.type) throw Error{ErrorCode::Forbidden, "The certificate type cannot be changed"};
    if (allowed == Change::CertificateOnly &&
        (wanted.name != before.name || wanted.restricted != before.restricted || wanted.projects != before.projects))
        throw Error{ErrorCode::Forbidden, "Only the certificate can be changed"};
    const auto after = complete(wanted, before.name);
    try {
        global_.write([&](db::Transaction& tx) { CertificateRepository::update(tx, before.fingerprint, after); });
    } catch (const Error& error) {
        if (error.code() == ErrorCode::AlreadyExists)
            throw Error{ErrorCode::Internal, "Update \"certificates\" entry failed: UNIQUE constraint failed: "
                                             "certificates.fingerprint"};
        throw;
    }
    reload();
    publish("certificate-updated", after.fingerprint);
}

void TrustStore::remove(const std::string& fingerprint) {
    const auto certificate = get(fingerprint);
    global_.write([&](db::Transaction& tx) { CertificateRepository::remove(tx, certificate.fingerprint); });
    reload();
    publish("certificate-deleted", certificate.fingerprint);
}

std::optional<api::Certificate> TrustStore::trusted(const std::string& fingerprint) const {
    const auto today = now();
    const std::lock_guard lock{mutex_};
    for (const auto& entry : entries_)
        if (text::equal_constant_time(entry.certificate.fingerprint, fingerprint) && entry.not_before <= today &&
            today <= entry.not_after)
            return entry.certificate;
    return std::nullopt;
}

} // namespace server

} // namespace lxdcore
