// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "resources/sysfs.hpp"

namespace lxdcore::resources {

/// Names from the lists of known hardware that distributions install (pci.ids, usb.ids). What no list knows, or where
/// there is none, is "". Reentrant.
class HardwareIds {
public:
    static HardwareIds pci(const Sysfs& files);
    static HardwareIds usb(const Sysfs& files);

    std::string vendor(const std::string& id) const; ///< four hexadecimal digits, as sysfs has them
    std::string product(const std::string& vendor, const std::string& id) const;
    std::string device_class(unsigned id) const;
    std::string device_subclass(unsigned id, unsigned subclass) const;

private:
    explicit HardwareIds(const std::string& text);
    std::string in_section(const std::string& head, const std::string& id) const;
    std::string text_; ///< begins and ends with a newline
};

} // namespace lxdcore::resources
