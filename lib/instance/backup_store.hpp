// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <lxdcore/service/backup_service.hpp>

#include "db/backup_repository.hpp"
#include "db/intents.hpp"
#include "storage/server_folder.hpp"
#include "util/dir.hpp"
#include "util/locked.hpp"

namespace lxdcore::instance {

/// Whose backups: its row, and where its archives lie below the folder of the store ("c1", "pool/project_v1").
struct BackupOwner {
    std::int64_t id = 0;
    std::string project, name;
    std::string folder;
    std::string pool = {}; ///< of a volume
};

/// Archives and their rows, of instances or of volumes: an archive is complete as soon as it has a row (R43), and what
/// was interrupted is finished or undone at the next start (R41). Thread-safe; the caller keeps two changes of one
/// backup apart.
class BackupStore {
public:
    using Of = db::BackupRepository::Of;
    /// @p top: the folder in @p place, which storage.backups_volume may move. @p not_found: what to say of a backup
    /// that is not there
    BackupStore(db::Database& local, db::Database& global, storage::ServerFolder& place, Of of, std::string top,
                std::string not_found);

    static void check_name(const std::string& name); ///< @throws Error InvalidArgument
    std::vector<db::BackupRow> list(std::int64_t owner) const;
    db::BackupRow need(std::int64_t owner, const std::string& name) const; ///< @throws Error NotFound

    /// A name that nobody else gets as long as this lives; "" if another has it. @p wanted "": the first free one.
    struct Reserved {
        std::string name;
        std::shared_ptr<void> held;
    };
    Reserved reserve(const BackupOwner& owner, const std::string& wanted);

    /// @p pack writes the archive. @p there: whether the owner is still who it was, asked with the row
    using Pack = std::function<void(int file, const Dir& folder)>;
    using There = std::function<bool(db::Transaction& tx)>;
    void create(const BackupOwner& owner, const db::BackupRow& row, const Pack& pack, const There& there);
    void rename(const BackupOwner& owner, const std::string& name, const std::string& to);
    void remove(const BackupOwner& owner, const std::string& name); ///< safe to repeat (R42)
    BackupService::File open(const BackupOwner& owner, const std::string& name) const;
    /// The files follow their owner, whose rows say the new name already. Safe to repeat.
    void move(const std::string& from, const std::string& to) const;
    void drop(const std::string& folder) const; ///< of an owner that goes; absent is fine

    /// Nothing is being made now: every hidden file is a leftover. @p find: the owner that an intent speaks of. Left to
    /// a later start while the archives' pool is away.
    using Find = std::function<std::optional<BackupOwner>(const db::Intent& intent)>;
    void repair(const Find& find);
    std::vector<db::BackupRow> expired() const;

private:
    std::string kind(const char* action) const;
    std::int64_t begin(const char* action, const BackupOwner& owner, const std::string& name,
                       const std::string& to = {});
    /// Where the archives are; they stay there as long as somebody has it.
    struct Place {
        std::shared_ptr<const Dir> held;
        Dir dir;
    };
    Place place() const; ///< @throws Error Unavailable while its pool is away
    std::optional<Dir> find_folder(const Place& place, const std::string& folder) const;
    void repair_one(const Place& at, const std::string& action, const db::Intent& intent,
                    const std::optional<BackupOwner>& owner);
    void sweep(const Dir& folders) const;
    bool has_row(const std::optional<BackupOwner>& owner, const std::string& name) const;

    db::Database& global_;
    storage::ServerFolder& folder_;
    const std::string top_, not_found_;
    const bool instances_;
    db::BackupRepository rows_;
    db::IntentLog intents_;
    Locked<std::set<std::pair<std::string, std::string>>> begun_; ///< folder and name
};

} // namespace lxdcore::instance
