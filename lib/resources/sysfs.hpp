// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lxdcore::resources {

/// Reads below /sys or /proc; what is absent or unreadable is empty. Paths start with "sys/" or "proc/". Reentrant.
class Sysfs {
public:
    static std::string text(const std::string& path); ///< trimmed
    static std::int64_t number(const std::string& path, std::int64_t otherwise = 0);
    static std::vector<std::string> list(const std::string& path);
    static bool exists(const std::string& path);
    static std::string link(const std::string& path); ///< target of a link
    /// The PCI address in the path of the device that @p path links to, "" if it has none.
    static std::string pci_address(const std::string& device_link);
    /// NUMA node of a device, 0 when the kernel says none.
    static std::int64_t numa_node(const std::string& device);
    /// "0x1af4" without the prefix.
    static std::string id(const std::string& path);
    static std::string driver(const std::string& device);
    /// Of a module: its own version, or the kernel's.
    static std::string driver_version(const std::string& driver);
};

} // namespace lxdcore::resources
