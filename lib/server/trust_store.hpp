// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/event.hpp>

#include "db/database.hpp"

namespace lxdcore::server {

/// The certificates that may talk to this server, held in memory beside the table. Thread-safe.
class TrustStore {
public:
    TrustStore(db::Database& global, EventService& events);
    std::vector<api::Certificate> list() const;
    api::Certificate get(const std::string& fingerprint_or_prefix) const; ///< @throws NotFound
    /// Without a name it gets the subject's, else @p otherwise.
    api::Certificate add(const api::CertificatePut& certificate, const std::string& otherwise);
    enum class Change { Anything, CertificateOnly };
    void update(const std::string& fingerprint, const api::CertificatePut& certificate, const std::string& if_match,
                Change allowed);
    void remove(const std::string& fingerprint);
    /// Exact match, and valid today.
    std::optional<api::Certificate> trusted(const std::string& fingerprint) const;

private:
    struct Entry {
        api::Certificate certificate;
        std::int64_t not_before = 0, not_after = 0;
    };
    void reload();
    void publish(const std::string& action, const std::string& fingerprint);

    db::Database& global_;
    EventService& events_;
    mutable std::mutex mutex_;
    std::vector<Entry> entries_;
};

} // namespace lxdcore::server
