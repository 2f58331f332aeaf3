// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <lxdcore/event.hpp>
#include <lxdcore/service/profile_service.hpp>

#include "config/added_devices.hpp"
#include "db/database.hpp"

namespace lxdcore::project {

/// ProfileService plus the way up: who is told when a profile that instances use has changed.
class ProfileManager : public ProfileService {
public:
    /// Called before the change is committed with the new profile and after; wired by Core to the instance service,
    /// which re-expands and applies to running instances. A throw of the first refuses the change.
    struct Listener {
        std::function<void(const std::string& project, const std::string& profile, const api::ProfilePut& next)> check;
        std::function<void(const std::string& project, const std::string& profile, const api::ProfilePut& before)>
            changed;
    };
    virtual void set_listener(Listener listener) = 0;
};

/// @p added: types of devices that the program has added.
std::unique_ptr<ProfileManager> make_profile_manager(db::Database& global, EventService& events,
                                                     const config::AddedDevices& added = {});

} // namespace lxdcore::project
