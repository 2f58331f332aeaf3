// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

/// What GET /1.0/resources shows, in LXD's form, read from /sys and /proc. Missing hardware gives empty lists.
/// Reentrant.
namespace lxdcore::resources {

nlohmann::json cpu();
nlohmann::json memory();
nlohmann::json network();
nlohmann::json storage();
nlohmann::json gpu();
nlohmann::json usb();
nlohmann::json pci();
nlohmann::json system();
nlohmann::json all();

} // namespace lxdcore::resources
