// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "db/database.hpp"

namespace lxdcore::storage {

/// Who has a disk on which custom volume of a project, by expanded devices. A snapshot of the database. Reentrant.
class VolumeUsers {
public:
    VolumeUsers(db::Transaction& tx, const std::string& project);
    std::vector<std::string> instances(const std::string& pool, const std::string& volume) const;
    /// URLs of instances and profiles, as in used_by.
    std::vector<std::string> urls(const std::string& pool, const std::string& volume) const;

private:
    using Key = std::pair<std::string, std::string>; ///< pool, volume
    std::string project_;
    std::map<Key, std::vector<std::string>> instances_, profiles_;
};

} // namespace lxdcore::storage
