// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include <lxdcore/error.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// The Error for what SQLite reports: UNIQUE is AlreadyExists, a full disk NoSpace, a lock held too long Unavailable.
Error translate(const SQLite::Exception& exception);

/// One connection with its prepared statements. Thread-bound.
class Connection {
public:
    enum class Mode { Check, Read, Write };
    /// Check: read-only, and leaves even the write-ahead log as it is.
    Connection(const std::string& name, Mode mode);

    /// A prepared statement that goes back to the cache, reset, when the pointer goes.
    using Lease = std::unique_ptr<SQLite::Statement, std::function<void(SQLite::Statement*)>>;
    Lease prepare(std::string_view sql, const std::vector<Bind>& binds);
    /// A fixed statement without result: BEGIN, COMMIT.
    void run(const char* sql);
    /// ROLLBACK, unless SQLite has rolled back by itself.
    void rollback() noexcept;
    SQLite::Database& raw() noexcept { return database_; }
    /// Runs @p call; what SQLite throws becomes an Error, and a failing disk is remembered.
    template <typename F>
    auto guard(F&& call) {
        try {
            return call();
        } catch (const SQLite::Exception& exception) {
            note(exception);
            throw translate(exception);
        }
    }
    /// True after the disk failed: nobody knows what it holds now (R40).
    bool disk_failed() const noexcept { return disk_failed_; }

private:
    void note(const SQLite::Exception& exception) noexcept;
    bool disk_failed_ = false;
    SQLite::Database database_;
    /// Statements at rest; the same text may be in use more than once.
    std::map<std::string, std::vector<std::unique_ptr<SQLite::Statement>>, std::less<>> cache_;
    std::size_t cached_ = 0;
};

/// db::Transaction on a connection that has begun one.
class SqliteTransaction : public Transaction {
public:
    explicit SqliteTransaction(Connection& connection) : connection_{connection} {}
    Rows query(std::string_view sql, const std::vector<Bind>& binds) override;
    std::int64_t exec(std::string_view sql, const std::vector<Bind>& binds) override;
    std::int64_t insert(std::string_view sql, const std::vector<Bind>& binds) override;

private:
    Connection& connection_;
};

} // namespace lxdcore::db
