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

/// Profiles of a project. Thread-safe; changes run one after another. All throw Error NotFound "Profile not found" for
/// an unknown name, and StaleEtag where @p if_match is neither "" nor the etag().
class LXDCORE_API ProfileService {
public:
    virtual ~ProfileService();
    /// With used_by, by name; none in an unknown project.
    virtual std::vector<api::Profile> list(const std::string& project) const = 0;
    /// By name.
    virtual std::vector<std::string> names(const std::string& project) const = 0;
    /// With used_by: URLs of instances.
    virtual api::Profile get(const std::string& project, const std::string& name) const = 0;
    /// @throws Error InvalidArgument (name, keys, devices, an unknown network), Internal "… The profile already
    /// exists", Forbidden (keys for administrators only)
    virtual void create(const std::string& project, const api::ProfilesPost& profile) = 0;
    /// Instances that use the profile are changed too, running ones live. @throws Error Internal for keys and devices
    /// that are wrong, for it or one of these, Forbidden as create(); InvalidArgument for control characters
    virtual void update(const std::string& project, const std::string& name, const api::ProfilePut& profile,
                        const std::string& if_match) = 0;
    /// As update(); what is absent stays, devices are replaced one by one.
    virtual void patch(const std::string& project, const std::string& name, const api::ProfilePatch& profile,
                       const std::string& if_match) = 0;
    /// @throws Error Forbidden for "default", Internal for a name that is taken, InvalidArgument (new name)
    virtual void rename(const std::string& project, const std::string& name, const std::string& new_name) = 0;
    /// @throws Error Forbidden for "default", Internal "Profile is currently in use"
    virtual void remove(const std::string& project, const std::string& name) = 0;
    /// Of [config, description, devices].
    static std::string etag(const api::Profile& profile);
};

} // namespace lxdcore
