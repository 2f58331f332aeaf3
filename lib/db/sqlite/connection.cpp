// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite/connection.hpp"

#include <sqlite3.h>

namespace lxdcore::db {

namespace {

constexpr int busy_timeout_ms = 5000;
constexpr std::size_t most_cached = 200;

int open_flags(Connection::Mode mode) {
    // URI names are for databases in memory that several connections share.
    return (mode == Connection::Mode::Write ? SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE : SQLite::OPEN_READONLY) |
           SQLite::OPEN_NOMUTEX;
}

void bind(SQLite::Statement& statement, const Bind& bind) {
    const std::string name{bind.name};
    std::visit(
        [&](const auto& value) {
            using T = std::decay_t<decltype(value)>;
            if constexpr (std::is_same_v<T, std::nullptr_t>) {
                statement.bind(name);
            } else {
                statement.bind(name, value);
            }
        },
        bind.value);
}

} // namespace

Connection::Connection(const std::string& name, Mode mode) : database_{name, open_flags(mode), busy_timeout_ms} {
    sqlite3* handle = database_.getHandle();
    ::sqlite3_extended_result_codes(handle, 1);
    // The schema is ours: it may not call functions that only an attacker would put there.
    ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    ::sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    if (mode == Mode::Check) {
        ::sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        return;
    }
    if (mode == Mode::Write) {
        database_.exec("PRAGMA journal_mode = WAL");
        database_.exec("PRAGMA synchronous = FULL");
        database_.exec("PRAGMA foreign_keys = ON");
    }
    database_.exec("PRAGMA cache_size = -512"); // KiB: the database is small, and so is the daemon
    database_.exec("PRAGMA temp_store = MEMORY");
}

Connection::Lease Connection::prepare(std::string_view sql, const std::vector<Bind>& binds) {
    auto it = cache_.find(sql);
    if (it == cache_.end()) {
        if (cached_ >= most_cached) {
            cache_.clear();
            cached_ = 0;
        }
        it = cache_.emplace(sql, std::vector<std::unique_ptr<SQLite::Statement>>{}).first;
    }
    std::unique_ptr<SQLite::Statement> statement;
    if (it->second.empty()) {
        statement = std::make_unique<SQLite::Statement>(database_, it->first);
    } else {
        statement = std::move(it->second.back());
        it->second.pop_back();
        --cached_;
    }
    Lease lease{statement.release(), [this](SQLite::Statement* used) {
                    std::unique_ptr<SQLite::Statement> owner{used};
                    if (owner->tryReset() != SQLite::OK) return; // after an error it is not used again
                    owner->clearBindings();
                    cache_[owner->getQuery()].push_back(std::move(owner));
                    ++cached_;
                }};
    for (const auto& parameter : binds)
        bind(*lease, parameter);
    return lease;
}

void Connection::run(const char* sql) {
    guard([&] { prepare(sql, {})->exec(); });
}

void Connection::rollback() noexcept {
    if (::sqlite3_get_autocommit(database_.getHandle()) == 0) database_.tryExec("ROLLBACK");
}

Error translate(const SQLite::Exception& exception) {
    const int code = exception.getExtendedErrorCode();
    const std::string text = exception.what();
    switch (exception.getErrorCode() & 0xff) {
    case SQLITE_CONSTRAINT: {
        const bool taken = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;
        return Error{taken ? ErrorCode::AlreadyExists : ErrorCode::Internal, text};
    }
    case SQLITE_FULL:
        return Error{ErrorCode::NoSpace, "No space left for the database: " + text};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return Error{ErrorCode::Unavailable, "The database is in use by another program: " + text};
    default:
        return Error{ErrorCode::Internal, text};
    }
}

void Connection::note(const SQLite::Exception& exception) noexcept {
    const int code = exception.getErrorCode() & 0xff;
    disk_failed_ = disk_failed_ || code == SQLITE_CORRUPT || code == SQLITE_READONLY || code == SQLITE_CANTOPEN ||
                   (code == SQLITE_IOERR && exception.getExtendedErrorCode() != SQLITE_IOERR_NOMEM);
}

/// A result being stepped through.
class Rows::Cursor {
public:
    Cursor(Connection& on, Connection::Lease prepared) : connection{on}, statement{std::move(prepared)} {}
    Connection& connection;
    Connection::Lease statement;
};

Rows::Rows(std::unique_ptr<Cursor> cursor) : cursor_{std::move(cursor)} {}
Rows::Rows(Rows&&) noexcept = default;
Rows::~Rows() = default;

bool Rows::next() {
    return cursor_->connection.guard([&] { return cursor_->statement->executeStep(); });
}
std::int64_t Rows::int64(int column) const { return cursor_->statement->getColumn(column).getInt64(); }
std::string Rows::text(int column) const { return cursor_->statement->getColumn(column).getString(); }
bool Rows::is_null(int column) const { return cursor_->statement->getColumn(column).isNull(); }
int Rows::columns() const { return cursor_->statement->getColumnCount(); }
std::string Rows::column_name(int column) const { return cursor_->statement->getColumnName(column); }
std::string Rows::column_type(int column) const {
    // Not every column comes from a table: an expression has no declared type.
    try {
        return cursor_->statement->getColumnDeclaredType(column);
    } catch (const SQLite::Exception&) {
        return {};
    }
}

Value Rows::value(int column) const {
    const auto cell = cursor_->statement->getColumn(column);
    if (cell.isNull()) return nullptr;
    if (cell.isInteger()) return std::int64_t{cell.getInt64()};
    if (cell.isFloat()) return cell.getDouble();
    return cell.getString();
}

Rows SqliteTransaction::query(std::string_view sql, const std::vector<Bind>& binds) {
    return Rows{std::make_unique<Rows::Cursor>(connection_,
                                               connection_.guard([&] { return connection_.prepare(sql, binds); }))};
}

std::int64_t SqliteTransaction::exec(std::string_view sql, const std::vector<Bind>& binds) {
    return connection_.guard([&]() -> std::int64_t { return connection_.prepare(sql, binds)->exec(); });
}

std::int64_t SqliteTransaction::insert(std::string_view sql, const std::vector<Bind>& binds) {
    exec(sql, binds);
    return connection_.raw().getLastInsertRowid();
}

} // namespace lxdcore::db
