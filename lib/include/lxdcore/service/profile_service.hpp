// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Profiles of a project. Thread-safe. All throw Error NotFound "Profile not found" for an unknown name.
class LXDCORE_API ProfileService {
public:
    virtual ~ProfileService();
    virtual std::vector<api::Profile> list(const std::string& project) const = 0; ///< with used_by, by name
    virtual std::vector<std::string> names(const std::string& project) const = 0;
    virtual api::Profile get(const std::string& project, const std::string& name) const = 0;
    virtual void create(const std::string& project, const api::ProfilesPost& profile) = 0;
    /// Instances that use the profile are changed too, running ones live. @p if_match is an ETag or empty.
    virtual void update(const std::string& project, const std::string& name, const api::ProfilePut& profile,
                        const std::string& if_match) = 0;
    virtual void patch(const std::string& project, const std::string& name, const api::ProfilePatch& profile,
                       const std::string& if_match) = 0;
    virtual void rename(const std::string& project, const std::string& name, const std::string& new_name) = 0;
    virtual void remove(const std::string& project, const std::string& name) = 0;
    static std::string etag(const api::Profile& profile);
};

} // namespace lxdcore
