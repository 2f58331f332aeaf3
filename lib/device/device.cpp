// SPDX-License-Identifier: Apache-2.0
#include "device/device.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "device/disk.hpp"
#include "device/nic.hpp"

namespace lxdcore::device {
namespace {

std::string value_of(const api::Device& device, const std::string& key) {
    const auto it = device.find(key);
    return it == device.end() ? "" : it->second;
}

/// Takes a device of a profile away.
class None final : public Device {
public:
    using Device::Device;
    void validate(const Target&, bool) override {}
    StartPlan start(const Target&, const Volatile&, Rollback&) override { return {}; }
    Volatile plug(const Target&, const Volatile&) override { return {}; }
    Volatile unplug(const Target&, const Volatile&) override { return {}; }
};

bool is_known(const std::string& type) {
    constexpr const char* kTypes[] = {"gpu",       "infiniband", "pci",          "proxy", "tpm",
                                      "unix-char", "unix-block", "unix-hotplug", "usb"};
    return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

std::unique_ptr<Device> make_nic(const std::string& name, const api::Device& config) {
    const std::string type = value_of(config, "nictype");
    if (type == "bridged" || (type.empty() && !value_of(config, "network").empty()))
        return std::make_unique<NicBridged>(name, config);
    if (!value_of(config, "network").empty())
        return std::make_unique<NicBridged>(name, config); // refused by validate()
    if (type == "p2p") return std::make_unique<NicP2p>(name, config);
    for (const char* other : {"ipvlan", "macvlan", "physical", "routed", "sriov"})
        if (type == other)
            throw Error{ErrorCode::Unsupported, fmt::format("NIC type \"{}\" is not supported by this server", type)};
    throw Error{ErrorCode::InvalidArgument, fmt::format("Failed loading device \"{}\": Unsupported device type", name)};
}

} // namespace

Volatile Device::plug(const Target&, const Volatile&) {
    throw Error{ErrorCode::BadState, "Device cannot be added when instance is running"};
}

Volatile Device::unplug(const Target&, const Volatile&) {
    throw Error{ErrorCode::BadState, "Device cannot be removed when instance is running"};
}

std::string root_disk(const api::Devices& expanded) {
    std::string found;
    for (const auto& [name, device] : expanded) {
        const bool root =
            value_of(device, "type") == "disk" && value_of(device, "path") == "/" && value_of(device, "source").empty();
        if (!root) continue;
        if (!found.empty()) throw Error{ErrorCode::InvalidArgument, "More than one root device found"};
        found = name;
    }
    if (found.empty()) throw Error{ErrorCode::InvalidArgument, "No root device could be found"};
    return found;
}

std::unique_ptr<Device> make_device(const std::string& name, const api::Device& config) {
    const std::string type = value_of(config, "type");
    if (type == "none") return std::make_unique<None>(name, config);
    if (type == "disk") return std::make_unique<Disk>(name, config);
    if (type == "nic") return make_nic(name, config);
    if (is_known(type))
        throw Error{ErrorCode::Unsupported, fmt::format("Device type \"{}\" is not supported by this server", type)};
    throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid device type {}", type)};
}

} // namespace lxdcore::device
