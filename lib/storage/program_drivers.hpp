// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "storage/tools/host.hpp"
#include "storage/tools/tools.hpp"

namespace lxdcore::storage {

struct DriverVersion {
    std::string name, version;
    bool remote = false;
};

/// Those of lvm, zfs, ceph and cephfs whose programs and kernel parts are here, with their versions as LXD tells them.
/// Where the programs are missing no process is started. Never throws: what cannot be asked is not offered.
std::vector<DriverVersion> program_drivers(Tools& tools, const Host& host) noexcept;

} // namespace lxdcore::storage
