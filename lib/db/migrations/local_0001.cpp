// SPDX-License-Identifier: Apache-2.0
#include "db/migrations/migrations.hpp"

namespace lxdcore::db {

// The tables of LXD 5.0's local schema 42, and what multi-step changes are about to do.
const std::string_view local_0001 = R"sql(
CREATE TABLE schema (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, version INTEGER NOT NULL, updated_at DATETIME NOT NULL,
    UNIQUE (version)
);
CREATE TABLE certificates (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, fingerprint TEXT NOT NULL, type INTEGER NOT NULL,
    name TEXT NOT NULL, certificate TEXT NOT NULL, UNIQUE (fingerprint)
);
CREATE TABLE config (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, key VARCHAR(255) NOT NULL, value TEXT, UNIQUE (key)
);
CREATE TABLE patches (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR(255) NOT NULL, applied_at DATETIME NOT NULL,
    UNIQUE (name)
);
CREATE TABLE raft_nodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, address TEXT NOT NULL, role INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL DEFAULT '', UNIQUE (address)
);

INSERT INTO schema (version, updated_at) VALUES (42, strftime('%Y-%m-%d %H:%M:%S+00:00', 'now'));

CREATE TABLE lxdcore_intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, kind TEXT NOT NULL, project TEXT NOT NULL, entity TEXT NOT NULL,
    data TEXT NOT NULL, created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX lxdcore_intents_kind_idx ON lxdcore_intents (kind);
)sql";

} // namespace lxdcore::db
