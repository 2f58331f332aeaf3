// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/types.hpp>
#include <lxdcore/error.hpp>

namespace lxdcore {

namespace api {

/// What the administrator should know. Texts as LXD's.
struct Warning {
    std::string status; ///< new, acknowledged, resolved
    std::string uuid, project, type;
    std::int64_t count = 0;
    Time first_seen_at, last_seen_at;
    std::string last_message, severity; ///< severity: low, moderate, high
    std::string entity_url;             ///< "" when it is about the server
};

/// As the API shows it, every key. Reentrant.
LXDCORE_API void to_json(nlohmann::json& json, const Warning& value);

} // namespace api

/// The list of warnings. Thread-safe. All throw Error NotFound "Warning not found" for an unknown id.
class LXDCORE_API WarningService {
public:
    virtual ~WarningService();
    /// In the order of their ids. @p project "": all, also the server's.
    virtual std::vector<api::Warning> list(const std::string& project) const = 0;
    /// One of them.
    virtual api::Warning get(const std::string& uuid) const = 0;
    /// @p status is "new" or "acknowledged". @throws Error Forbidden for "resolved", InvalidArgument for other words
    virtual void set_status(const std::string& uuid, const std::string& status) = 0;
    /// Forgets it; what it warns of may raise it again.
    virtual void remove(const std::string& uuid) = 0;
};

} // namespace lxdcore
