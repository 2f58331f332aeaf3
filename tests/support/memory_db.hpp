// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include <lxdcore/error.hpp>

#include "db/database.hpp"

namespace lxdcore::test {

/// The real database code on an in-memory file with all migrations applied.
inline std::unique_ptr<db::Database> memory_global() { return db::Database::open(":memory:", db::global_migrations()); }
inline std::unique_ptr<db::Database> memory_local() { return db::Database::open(":memory:", db::local_migrations()); }

/// Passes everything on to another database, and makes writes fail while fail_writes is set: what happens when a
/// change cannot be recorded.
class FailingDatabase : public db::Database {
public:
    explicit FailingDatabase(std::unique_ptr<db::Database> inner) : inner_{std::move(inner)} {}
    void read(const std::function<void(db::Transaction&)>& work) override { inner_->read(work); }
    void write(const std::function<void(db::Transaction&)>& work) override {
        if (fail_writes) throw Error{ErrorCode::Internal, "database write failed"};
        inner_->write(work);
    }
    std::uint64_t commits() const noexcept override { return inner_->commits(); }
    bool fail_writes = false;

private:
    std::unique_ptr<db::Database> inner_;
};

} // namespace lxdcore::test
