// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite/open.hpp"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <sqlite3.h>

#include <fmt/format.h>

#include "util/dir.hpp"

namespace lxdcore::db {

namespace {

constexpr const char* backup_suffix = ".bak";

std::string advice(const std::filesystem::path& path) {
    return fmt::format(
        "It was not changed. To go on: put {}{} (the copy made before the last upgrade) or another backup "
        "in its place, or move it away and recover the instances from the storage pools",
        path.string(), backup_suffix);
}

int newest(const std::vector<Migration>& migrations) { return migrations.empty() ? 0 : migrations.back().version; }

/// Version of our own count; LXD's number in the table `schema` says which tables of LXD these are.
int stored_version(SQLite::Database& database, const std::filesystem::path& path) {
    SQLite::Statement tables{database, "SELECT name = 'lxdcore_schema' FROM sqlite_master WHERE type = 'table' "
                                       "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1 DESC"};
    if (!tables.executeStep()) return 0;
    if (tables.getColumn(0).getInt() == 0) {
        throw Error{ErrorCode::Internal,
                    fmt::format("{} belongs to another program. It was not changed", path.string())};
    }
    SQLite::Statement version{database, "SELECT coalesce(max(version), 0) FROM lxdcore_schema"};
    version.executeStep();
    return version.getColumn(0).getInt();
}

void quick_check(SQLite::Database& database) {
    SQLite::Statement check{database, "PRAGMA quick_check(1)"};
    if (!check.executeStep()) throw SQLite::Exception{"quick_check gave no answer", SQLITE_CORRUPT};
    const std::string result = check.getColumn(0).getString();
    if (result != "ok") throw SQLite::Exception{result, SQLITE_CORRUPT};
}

} // namespace

int check_file(const std::filesystem::path& path, const std::vector<Migration>& migrations) {
    const auto file = Dir::open(path.parent_path().string()).stat_if_exists(path.filename().string());
    if (!file || file->st_size == 0) return 0;
    int version = 0;
    try {
        Connection connection{path.string(), Connection::Mode::Check};
        quick_check(connection.raw());
        version = stored_version(connection.raw(), path);
    } catch (const SQLite::Exception& exception) {
        const int code = exception.getErrorCode() & 0xff;
        if (code == SQLITE_BUSY || code == SQLITE_LOCKED) throw translate(exception);
        throw Error{ErrorCode::Internal,
                    fmt::format("The database {} is damaged: {}. {}", path.string(), exception.what(), advice(path))};
    }
    if (version > newest(migrations)) {
        throw Error{
            ErrorCode::Internal,
            fmt::format("The database {} was made by a newer version of lxdcore (schema {}, this one knows {}). {}",
                        path.string(), version, newest(migrations), advice(path))};
    }
    return version;
}

void back_up(Connection& connection, const std::filesystem::path& path) {
    const Dir directory = Dir::open(path.parent_path().string());
    const auto name = path.filename().string() + backup_suffix;
    const auto temporary = name + ".new";
    directory.remove(temporary);
    const UniqueFd file = directory.open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
    {
        SQLite::Database copy{(path.parent_path() / temporary).string(), SQLite::OPEN_READWRITE};
        SQLite::Backup backup{copy, connection.raw()};
        backup.executeStep(-1);
    }
    if (::fsync(file.get()) != 0) throw_errno(temporary);
    directory.replace(temporary, name);
    directory.sync();
}

void migrate(Connection& connection, int version, const std::vector<Migration>& migrations) {
    if (version >= newest(migrations)) return;
    auto& database = connection.raw();
    // Off while tables are rebuilt, which drops and renames; the references are checked before the commit.
    database.exec("PRAGMA foreign_keys = OFF");
    database.exec("BEGIN IMMEDIATE");
    try {
        database.exec("CREATE TABLE IF NOT EXISTS lxdcore_schema (version INTEGER PRIMARY KEY NOT NULL, "
                      "applied_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)");
        for (const auto& migration : migrations) {
            if (migration.version <= version) continue;
            database.exec(std::string{migration.sql});
            SQLite::Statement record{database, "INSERT INTO lxdcore_schema (version) VALUES (?)"};
            record.bind(1, migration.version);
            record.exec();
        }
        if (SQLite::Statement{database, "PRAGMA foreign_key_check"}.executeStep()) {
            throw Error{ErrorCode::Internal, "the upgraded database has references to nothing"};
        }
        database.exec("COMMIT");
    } catch (...) {
        connection.rollback();
        throw;
    }
    database.exec("PRAGMA foreign_keys = ON");
}

} // namespace lxdcore::db
