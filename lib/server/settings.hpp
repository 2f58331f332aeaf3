// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "db/database.hpp"

namespace lxdcore::server {

/// Server keys: those of this member in the local database, the rest in the global one. Thread-safe.
class Settings {
public:
    Settings(db::Database& local, db::Database& global);
    /// As clients see it: defaults left out, the trust password is "true".
    api::StringMap visible() const;
    std::string get(const std::string& key) const; ///< the default when unset
    std::string trust_password_hash() const;
    std::string etag() const;
    /// Replaces everything (PUT) or merges (PATCH). Listeners may refuse by throwing; all is then as before.
    /// Returns true if anything changed.
    bool change(const api::StringMap& config, bool replace, const std::string& if_match);
    void on_change(std::function<void(const api::StringMap&)> listener);

private:
    void store(const api::StringMap& changes);
    api::StringMap stored() const;

    db::Database& local_;
    db::Database& global_;
    std::mutex changing_; ///< one change at a time; not held while reading
    mutable std::mutex mutex_;
    api::StringMap values_; ///< as stored
    std::vector<std::function<void(const api::StringMap&)>> listeners_;
};

} // namespace lxdcore::server
