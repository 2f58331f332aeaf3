// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace lxdcore::instance {

struct ApparmorInput {
    std::string name; ///< of the profile
    bool privileged = false, nesting = false;
    std::string raw; ///< raw.apparmor: more rules
};

/// The name that LXD gives the profile of an instance, @p directory as logs and cgroups know it:
/// "lxd-c1_</var/lib/lxd>".
std::string apparmor_name(const std::string& directory, const std::string& state_dir);

/// A profile for apparmor_parser: everything but what concerns the whole host. An unprivileged container is held by
/// its user namespace in the first place, a privileged one by this. @throws Error for control characters
std::string apparmor_profile(const ApparmorInput& in);

} // namespace lxdcore::instance
