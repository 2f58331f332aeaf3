// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "device/device.hpp"

namespace lxdcore::instance {

/// Where lxcfs is mounted, by the text of a mountinfo; its package's place first. "" if nowhere.
std::string lxcfs_mount(const std::string& mountinfo);
/// What shows an instance its own memory, processors and uptime in place of the host's: the files of lxcfs over those
/// of the kernel, as its hook for liblxc does it. All of them optional. @throws Error where lxcfs does not answer
std::vector<device::MountItem> lxcfs_mounts(const std::string& mount);

} // namespace lxdcore::instance
