// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "util/unique_fd.hpp"

namespace lxdcore::resources {

/// Reads files of the host; what is absent or unreadable is empty. Paths are relative to the root, "sys/class/net",
/// and links are followed within their first directory. Reentrant.
class Sysfs {
public:
    /// @param root where the host's "/" is
    explicit Sysfs(std::string root) : root_{std::move(root)} {}
    Sysfs() : Sysfs{"/"} {}

    std::string text(const std::string& path, std::size_t max = 1 << 20) const; ///< trimmed
    std::int64_t number(const std::string& path, std::int64_t otherwise = 0) const;
    std::int64_t hex(const std::string& path) const;              ///< "0b" or "0x1af4"; 0 when it is none
    std::vector<std::string> list(const std::string& path) const; ///< sorted by name
    bool exists(const std::string& path) const;
    std::string link(const std::string& path) const; ///< target of a link
    /// Where @p path leads when all links are followed, in the same form; "" if nowhere.
    std::string real(const std::string& path) const;
    UniqueFd open(const std::string& path) const; ///< read-only, empty if that fails

    /// Name of the last part of a link, "" without one.
    std::string link_name(const std::string& path) const;
    /// The PCI address of a device, or of what a virtio device sits on; "" if it has none.
    std::string pci_address(const std::string& device) const;
    /// "bus:device" of the USB device that @p device is a part of, "" if it is of none.
    std::string usb_address(const std::string& device) const;
    /// NUMA node of a device, 0 when the kernel says none.
    std::int64_t numa_node(const std::string& device) const;
    /// "0x1af4" without the prefix.
    std::string id(const std::string& path) const;
    std::string driver(const std::string& device) const;
    /// Of a device's driver: its module's own version, or the kernel's; "" without a driver.
    std::string driver_version(const std::string& device) const;

private:
    std::string root_;
};

} // namespace lxdcore::resources
