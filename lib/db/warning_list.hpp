// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/database.hpp"

namespace lxdcore::db {

struct WarningRow {
    std::string uuid, project;
    int type = 0;   ///< LXD's number
    int status = 0; ///< 1 new, 2 acknowledged, 3 resolved
    std::int64_t count = 0;
    std::string first_seen, last_seen, last_message;
    std::string entity_url; ///< "" when it is about the server or the entity is gone
};

/// The table warnings as administrators see it. Reentrant; the caller owns the transaction.
class WarningList {
public:
    std::vector<WarningRow> all(Transaction& tx, const std::string& project) const; ///< "": all; by uuid
    std::optional<WarningRow> find(Transaction& tx, const std::string& uuid) const;
    bool set_status(Transaction& tx, const std::string& uuid, int status) const; ///< false: no such warning
    bool remove(Transaction& tx, const std::string& uuid) const;
};

} // namespace lxdcore::db
