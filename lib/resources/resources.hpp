// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "resources/ethtool.hpp"
#include "resources/sysfs.hpp"

/// What GET /1.0/resources shows, in LXD's form, read from /sys and /proc. Missing hardware gives empty lists.
/// Reentrant.
namespace lxdcore::resources {

/// Where it is read from: this host, unless a test says otherwise.
struct Host {
    Sysfs files;
    LinkReader link = read_link;
};

nlohmann::json cpu(const Host& host);
nlohmann::json memory(const Host& host);
nlohmann::json network(const Host& host);
nlohmann::json storage(const Host& host);
nlohmann::json gpu(const Host& host);
nlohmann::json usb(const Host& host);
nlohmann::json pci(const Host& host);
nlohmann::json machine(const Host& host);
nlohmann::json all(const Host& host = {});

} // namespace lxdcore::resources
