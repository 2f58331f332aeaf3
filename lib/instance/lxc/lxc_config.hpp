// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

#include "device/device.hpp"
#include "system/cgroup.hpp"
#include "system/idmap.hpp"

namespace lxdcore::instance {

/// Everything that an lxc.conf is made of.
struct LxcConfigInput {
    std::string host_name;
    std::string architecture = "x86_64";
    std::string rootfs;  ///< absolute path
    std::string log_dir; ///< $LXD_DIR/logs/<name>
    std::string devlxd;  ///< directory that becomes /dev/lxd; "": none
    std::string seccomp_file;
    std::string seccomp_proxy, seccomp_cookie; ///< where liblxc asks about calls, and as whom; "": nowhere
    std::string cgroup_payload, cgroup_monitor;
    bool idmapped_root = false;
    std::string apparmor; ///< a profile; "" on kernels without AppArmor
    IdMap idmap;          ///< empty: privileged
    api::StringMap expanded_config;
    std::vector<device::NicItems> nics;
    std::vector<device::MountItem> mounts;
    std::vector<CgroupItem> cgroup;
    bool devices_v1 = true; ///< the devices controller is on v1
};

/// The file in the log folder that says: the guest has ended to be started again.
inline constexpr const char* reboot_mark = "reboot";

/// The text of lxc.conf, byte-stable for the same input. @throws Error InvalidArgument for what an Emitter refuses
std::string lxc_config(const LxcConfigInput& input);

/// A blank or a tab in a path of lxc.mount.entry, as fstab spells it.
std::string fstab_escape(const std::string& path);

} // namespace lxdcore::instance
