// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "resources/hardware_ids.hpp"
#include "resources/sysfs.hpp"

namespace lxdcore::resources {

/// Driver, NUMA node, address and names of a card, as network and graphics cards show them. @p device is its directory
/// in sysfs. What it does not have is left out.
nlohmann::json card_of(const Sysfs& files, const HardwareIds& ids, const std::string& device);
/// Virtual functions of @p device in LXD's form, each made by @p make; null when it cannot have any.
nlohmann::json sriov_of(const Sysfs& files, const std::string& device,
                        const std::function<nlohmann::json(const std::string&)>& make);
/// PCI devices of a class (the first byte of it) that are no virtual functions.
std::vector<std::string> pci_of_class(const Sysfs& files, unsigned device_class);
/// {"cards": …, "total": …}, where virtual functions count too.
nlohmann::json counted_cards(nlohmann::json cards);

} // namespace lxdcore::resources
