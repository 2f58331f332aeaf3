// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include <lxdcore/api/types.hpp>

namespace lxdcore::instance {

/// Which system calls are carried out for a guest, from security.syscalls.intercept.*. Reentrant.
struct Interception {
    bool mknod = false, setxattr = false, sched_setscheduler = false, mount = false;
    bool bpf = false;                        ///< device programs of cgroups
    bool shift = false;                      ///< mounts show the ids of the guest
    std::set<std::string> filesystems;       ///< that may be mounted
    std::map<std::string, std::string> fuse; ///< filesystems and the programs of the guest that mount them

    bool any() const noexcept { return mknod || setxattr || sched_setscheduler || mount || bpf; }
};

Interception interception_of(const api::StringMap& expanded_config);

/// The lines of liblxc's policy that let the kernel ask; "" for none. Only calls that could be carried out are asked
/// for: the others stay as fast as they were.
std::string notify_rules(const Interception& interception);

} // namespace lxdcore::instance
