// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <lxdcore/api/instance.hpp>

namespace lxdcore::instance {

/// The instances of projects as they were last read, for as long as nothing is committed: lists are polled far more
/// often than anything changes, and most of their time is reading rows. Not thread-safe.
class ListCache {
public:
    using List = std::shared_ptr<const std::vector<api::Instance>>;

    /// Null: not known, or not at @p commits of the database.
    List find(const std::string& project, std::uint64_t commits) {
        const auto it = entries_.find(project);
        if (it == entries_.end() || it->second.commits != commits) return nullptr;
        it->second.used = true;
        return it->second.list;
    }
    /// @p commits: as it was before the list was read.
    void store(const std::string& project, std::uint64_t commits, List list) {
        entries_.insert_or_assign(project, Entry{commits, std::move(list), true});
    }
    /// Lets go of what nobody asked for since the last call.
    void forget_unused() {
        std::erase_if(entries_, [](const auto& entry) { return !entry.second.used; });
        for (auto& [project, entry] : entries_)
            entry.used = false;
    }

private:
    struct Entry {
        std::uint64_t commits;
        List list;
        bool used;
    };
    std::map<std::string, Entry> entries_;
};

} // namespace lxdcore::instance
