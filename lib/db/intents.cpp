// SPDX-License-Identifier: Apache-2.0
#include "db/intents.hpp"

namespace lxdcore::db {

std::int64_t IntentLog::begin(const std::string& kind, const std::string& project, const std::string& entity,
                              const std::string& data) {
    return local_.write_value([&](Transaction& tx) {
        return tx.insert("INSERT INTO lxdcore_intents (kind, project, entity, data) "
                         "VALUES (:kind, :project, :entity, :data)",
                         {{":kind", kind}, {":project", project}, {":entity", entity}, {":data", data}});
    });
}

void IntentLog::end(std::int64_t id) {
    // An intent that comes back after a power cut is found to be settled.
    local_.write_relaxed([&](Transaction& tx) {
        tx.exec("DELETE FROM lxdcore_intents WHERE id = :id", {{":id", id}});
    });
}

std::vector<Intent> IntentLog::pending(const std::string& kind) const {
    return local_.read_value([&](Transaction& tx) {
        std::vector<Intent> intents;
        auto rows =
            tx.query("SELECT id, kind, project, entity, data FROM lxdcore_intents WHERE kind = :kind ORDER BY id",
                     {{":kind", kind}});
        while (rows.next()) {
            intents.push_back({rows.int64(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4)});
        }
        return intents;
    });
}

} // namespace lxdcore::db
