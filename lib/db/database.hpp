// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lxdcore::db {

using Value = std::variant<std::nullptr_t, std::int64_t, double, std::string>;
/// A named parameter: {":name", value}.
struct Bind {
    std::string_view name;
    Value value;
    Bind(std::string_view n, std::int64_t v) : name{n}, value{v} {}
    Bind(std::string_view n, int v) : name{n}, value{std::int64_t{v}} {}
    Bind(std::string_view n, bool v) : name{n}, value{std::int64_t{v}} {}
    Bind(std::string_view n, std::string v) : name{n}, value{std::move(v)} {}
    Bind(std::string_view n, const char* v) : name{n}, value{std::string{v}} {}
    Bind(std::string_view n, std::nullptr_t) : name{n}, value{nullptr} {}
    Bind(std::string_view n, Value v) : name{n}, value{std::move(v)} {}
};

/// A result, stepped through: `while (rows.next()) rows.text(0)`. Valid until the transaction ends. Thread-bound.
class Rows {
public:
    class Cursor;
    explicit Rows(std::unique_ptr<Cursor> cursor);
    Rows(Rows&&) noexcept;
    ~Rows();
    bool next();
    std::int64_t int64(int column) const;
    std::string text(int column) const; ///< NULL gives ""
    bool is_null(int column) const;
    Value value(int column) const;
    int columns() const;
    std::string column_name(int column) const;
    std::string column_type(int column) const; ///< as declared in the table, "" for an expression

private:
    std::unique_ptr<Cursor> cursor_;
};

/// The seam to SQLite (SQLiteCpp) today and dqlite later. SQL with named parameters only. Thread-bound.
class Transaction {
public:
    virtual ~Transaction() = default;
    virtual Rows query(std::string_view sql, const std::vector<Bind>& binds = {}) = 0;
    virtual std::int64_t exec(std::string_view sql, const std::vector<Bind>& binds = {}) = 0; ///< rows affected
    /// @throws Error AlreadyExists on a UNIQUE violation (as exec)
    virtual std::int64_t insert(std::string_view sql, const std::vector<Bind>& binds = {}) = 0; ///< last row id
};

struct Migration {
    int version;
    std::string_view sql;
};

/// One SQLite file: WAL, foreign keys, synchronous=FULL, busy timeout 5 s. One writer at a time; readers are parallel.
/// Transactions are short, may be retried (the function can run twice) and never span slow work. Thread-safe.
class Database {
public:
    /// Opens, checks (quick_check), backs the file up before a migration, and migrates in one transaction. A newer or
    /// damaged file is left untouched: Error Internal naming the file and the backup. @p path ":memory:" for tests.
    static std::unique_ptr<Database> open(const std::filesystem::path& path, const std::vector<Migration>& migrations);
    virtual ~Database() = default;
    virtual void read(const std::function<void(Transaction&)>& work) = 0;
    /// Commits when @p work returns, rolls back when it throws. After a failed COMMIT or fsync every further write
    /// throws Error Unavailable until the process restarts (R40).
    virtual void write(const std::function<void(Transaction&)>& work) = 0;
    /// As write(), but a power cut may undo it, in the order of commits, until the next write() of this database has
    /// returned; the death of the process does not. For what nobody was promised and start-up can repeat.
    virtual void write_relaxed(const std::function<void(Transaction&)>& work) { write(work); }
    /// Grows with every write, before it returns: what was read after asking is current for as long as this is the
    /// same.
    virtual std::uint64_t commits() const noexcept = 0;

    template <typename F>
    auto read_value(F&& work) {
        std::optional<decltype(work(std::declval<Transaction&>()))> result;
        read([&](Transaction& tx) { result.emplace(work(tx)); });
        return std::move(*result);
    }
    template <typename F>
    auto write_value(F&& work) {
        std::optional<decltype(work(std::declval<Transaction&>()))> result;
        write([&](Transaction& tx) {
            result.reset();
            result.emplace(work(tx));
        });
        return std::move(*result);
    }
};

/// Migrations of the two databases; LXD 5.0's tables, own tables have the prefix lxdcore_.
const std::vector<Migration>& local_migrations();
const std::vector<Migration>& global_migrations();

} // namespace lxdcore::db
