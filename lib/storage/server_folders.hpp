// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <lxdcore/api/types.hpp>
#include <lxdcore/log.hpp>

#include "db/database.hpp"
#include "db/intents.hpp"
#include "storage/pool_access.hpp"
#include "storage/server_folder.hpp"

namespace lxdcore::storage {

/// Which custom volumes the server itself uses: storage.images_volume and storage.backups_volume, "<pool>/<volume>" of
/// the default project. A move copies, then exchanges the directory for a link to the volume (LXD's layout) in one
/// step, then removes what was copied: the link says which of the two an interrupted one was. Thread-safe.
class ServerFolders {
public:
    struct Needs {
        db::Database& local;
        db::Database& global;
        const Dir& state_dir;
        const Logger& log;
        const StorageService& pools;
        const PoolAccess& access;
    };
    /// Brings the settings into agreement with the links, before anybody reads them.
    explicit ServerFolders(const Needs& needs);
    /// Removes what interrupted moves left; after the pools.
    void start();

    ServerFolder& images() noexcept { return images_; }
    ServerFolder& backups() noexcept { return backups_; }
    /// Changed settings; nothing has happened where this throws.
    void change(const api::StringMap& changed);

    /// Whether one of the two is on this volume. @p tx: of the local database
    static bool uses(db::Transaction& tx, const std::string& pool, const std::string& volume);

    /// The setting that a link in the state directory stands for; "": it is none. @throws Error Internal for a link to
    /// something else than a custom volume
    static std::string linked(const Dir& state_dir, const std::string& folder);

private:
    struct Volume {
        std::string pool, name;
        std::string directory() const { return "default_" + name; }
    };
    static Volume parse(const std::string& setting);
    std::string linked(const std::string& folder) const { return linked(s_.state_dir, folder); }
    std::string link_to(const std::string& setting) const;    ///< its text
    MountedDir open(const std::string& folder) const;         ///< where it is now
    MountedDir open_volume(const std::string& setting) const; ///< @throws NotFound, Unavailable
    MountedDir check(const std::string& setting, const std::string& other) const;
    void move(const std::string& folder, ServerFolder& place, const std::string& to, const std::string& other);
    void carry(const std::string& folder, const std::string& from, const std::string& to, const MountedDir* target);
    void agree(const std::string& folder, const std::string& key);
    void repair(const std::string& folder);

    const Needs s_;
    db::IntentLog intents_;
    ServerFolder images_, backups_;
};

} // namespace lxdcore::storage
