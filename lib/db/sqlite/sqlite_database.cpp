// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <atomic>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "db/sqlite/open.hpp"
#include "util/dir.hpp"

namespace lxdcore::db {

namespace {

constexpr std::size_t most_idle_readers = 2;

/// Common to both kinds: one transaction on a connection, and what a failing disk means (R40).
class SqliteDatabase : public Database {
protected:
    explicit SqliteDatabase(std::string name) : name_{std::move(name)}, writer_{name_, Connection::Mode::Write} {}

    static void run_read(Connection& connection, const std::function<void(Transaction&)>& work) {
        try {
            connection.run("BEGIN");
            SqliteTransaction transaction{connection};
            work(transaction);
            connection.run("COMMIT");
        } catch (...) {
            connection.rollback();
            throw;
        }
    }

    void run_write(const std::function<void(Transaction&)>& work) {
        // After a failed fsync nobody knows what is on the disk, and a second one would claim success.
        if (writer_.disk_failed()) throw_broken("an earlier write failed");
        try {
            writer_.run("BEGIN IMMEDIATE");
            SqliteTransaction transaction{writer_};
            work(transaction);
            writer_.run("COMMIT");
            ++commits_;
        } catch (const std::exception& failure) {
            ++commits_; // nobody knows
            writer_.rollback();
            if (writer_.disk_failed()) throw_broken(failure.what());
            throw;
        } catch (...) {
            writer_.rollback();
            throw;
        }
    }

    [[noreturn]] void throw_broken(std::string_view why) const {
        throw Error{ErrorCode::Unavailable,
                    fmt::format("The database {} takes no more changes until the restart: {}", name_, why)};
    }

    const std::string name_;
    Connection writer_;

public:
    std::uint64_t commits() const noexcept override { return commits_; }

private:
    std::atomic<std::uint64_t> commits_ = 0;
};

/// While it lives, a commit reaches the write-ahead log without waiting for the disk.
class RelaxedSync {
public:
    explicit RelaxedSync(Connection& writer) : writer_{writer} { writer_.raw().tryExec("PRAGMA synchronous = NORMAL"); }
    RelaxedSync(const RelaxedSync&) = delete;
    RelaxedSync& operator=(const RelaxedSync&) = delete;
    ~RelaxedSync() { writer_.raw().tryExec("PRAGMA synchronous = FULL"); }

private:
    Connection& writer_;
};

/// A file: readers beside the one writer.
class FileDatabase : public SqliteDatabase {
public:
    FileDatabase(const std::filesystem::path& path, int version, const std::vector<Migration>& migrations)
        : SqliteDatabase{path.string()} {
        if (version > 0 && version < migrations.back().version) back_up(writer_, path);
        migrate(writer_, version, migrations);
    }

    void read(const std::function<void(Transaction&)>& work) override {
        auto connection = take_reader();
        run_read(*connection, work);
        const std::lock_guard lock{readers_mutex_};
        if (readers_.size() < most_idle_readers) readers_.push_back(std::move(connection));
    }

    void write(const std::function<void(Transaction&)>& work) override { write_alone(work, false); }
    void write_relaxed(const std::function<void(Transaction&)>& work) override { write_alone(work, true); }

private:
    void write_alone(const std::function<void(Transaction&)>& work, bool relaxed) {
        if (writing_ == std::this_thread::get_id()) {
            throw Error{ErrorCode::Internal, "a database transaction inside another"};
        }
        const std::lock_guard lock{write_mutex_};
        writing_ = std::this_thread::get_id();
        try {
            std::optional<RelaxedSync> unsynced;
            if (relaxed) unsynced.emplace(writer_);
            run_write(work);
        } catch (...) {
            writing_ = std::thread::id{};
            throw;
        }
        writing_ = std::thread::id{};
    }

    std::unique_ptr<Connection> take_reader() {
        {
            const std::lock_guard lock{readers_mutex_};
            if (!readers_.empty()) {
                auto connection = std::move(readers_.back());
                readers_.pop_back();
                return connection;
            }
        }
        try {
            return std::make_unique<Connection>(name_, Connection::Mode::Read);
        } catch (const SQLite::Exception& exception) {
            throw translate(exception);
        }
    }

    std::mutex write_mutex_;
    std::atomic<std::thread::id> writing_{};
    std::mutex readers_mutex_;
    std::vector<std::unique_ptr<Connection>> readers_;
};

/// In memory, for tests: one connection, used by one thread at a time.
class MemoryDatabase : public SqliteDatabase {
public:
    explicit MemoryDatabase(const std::vector<Migration>& migrations) : SqliteDatabase{":memory:"} {
        migrate(writer_, 0, migrations);
    }

    void read(const std::function<void(Transaction&)>& work) override {
        const std::lock_guard lock{mutex_};
        if (inside_) { // a read within a transaction of the same thread
            SqliteTransaction transaction{writer_};
            return work(transaction);
        }
        run_read(writer_, work);
    }

    void write(const std::function<void(Transaction&)>& work) override {
        const std::lock_guard lock{mutex_};
        if (inside_) throw Error{ErrorCode::Internal, "a database transaction inside another"};
        inside_ = true;
        try {
            run_write(work);
        } catch (...) {
            inside_ = false;
            throw;
        }
        inside_ = false;
    }

private:
    std::recursive_mutex mutex_;
    bool inside_ = false;
};

/// The file itself, so that it is ours alone from its first moment (R37); SQLite would make it 0644.
void make_file(const std::filesystem::path& path) {
    const Dir directory = Dir::open(path.parent_path().string());
    directory.open_file(path.filename().string(), O_RDWR | O_CREAT, 0600);
    directory.sync();
}

} // namespace

std::unique_ptr<Database> Database::open(const std::filesystem::path& path, const std::vector<Migration>& migrations) {
    try {
        if (path == ":memory:") return std::make_unique<MemoryDatabase>(migrations);
        const int version = check_file(path, migrations);
        make_file(path);
        return std::make_unique<FileDatabase>(path, version, migrations);
    } catch (const SQLite::Exception& exception) {
        auto error = translate(exception);
        error.add_context(path.string());
        throw error;
    }
}

} // namespace lxdcore::db
