// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/database.hpp"

namespace lxdcore::db {

/// What a multi-step change is about to do, written before it starts and erased in the same transaction that makes the
/// change final (R41). What is left at start-up was interrupted: the service that owns @p kind finishes or undoes it.
struct Intent {
    std::int64_t id = 0;
    std::string kind; ///< "instance-create", "instance-delete", "image-import", …
    std::string project;
    std::string entity;
    std::string data; ///< JSON, small
};

class IntentLog {
public:
    explicit IntentLog(Database& local) : local_{local} {}
    std::int64_t begin(const std::string& kind, const std::string& project, const std::string& entity,
                       const std::string& data = "{}");
    void end(std::int64_t id);
    std::vector<Intent> pending(const std::string& kind) const;

private:
    Database& local_;
};

} // namespace lxdcore::db
