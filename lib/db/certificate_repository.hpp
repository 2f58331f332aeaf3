// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// The trust store. The caller owns the transaction. Reentrant.
class CertificateRepository {
public:
    static std::vector<api::Certificate> list(Transaction& tx); ///< by row
    /// Unknown projects: Error NotFound "Project not found".
    static void insert(Transaction& tx, const api::Certificate& certificate);
    /// Everything but the fingerprint, or the fingerprint too when the certificate is replaced.
    static void update(Transaction& tx, const std::string& fingerprint, const api::Certificate& certificate);
    static void remove(Transaction& tx, const std::string& fingerprint);
};

} // namespace lxdcore::db
