// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>

namespace lxdcore::config {

/// Types of devices that the program has added, with their keys.
using AddedDevices = std::map<std::string, std::vector<std::string>>;

/// validate_devices(), with these types besides ours. @throws Error InvalidArgument
void validate_devices(const api::Devices& devices, const AddedDevices& added);

} // namespace lxdcore::config
