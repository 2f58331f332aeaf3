// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include <lxdcore/extension/device_type.hpp>

#include "config/added_devices.hpp"
#include "device/device.hpp"

namespace lxdcore::device {

/// Types of devices that the program has added, by name. Thread-safe.
struct AddedTypes {
    std::map<std::string, std::shared_ptr<DeviceType>> types;
    config::AddedDevices keys;
};

/// A device of a type that the program has added.
class ExtensionDevice final : public Device {
public:
    ExtensionDevice(std::string name, api::Device config, DeviceType& type)
        : Device{std::move(name), std::move(config)}, type_{type} {}
    void validate(const Target& target, bool for_profile) override;
    StartPlan start(const Target& target, const Volatile& current, Rollback& undo) override;
    Volatile stopped(const Target& target, const Volatile& current) override;
    void removed(const Target& target, const Volatile& current) override;
    Volatile plug(const Target& target, const Volatile& current) override;
    Volatile unplug(const Target& target, const Volatile& current) override;

private:
    DeviceRequest request(const Target& target, const Volatile& current) const;
    DeviceType& type_;
};

/// Of the added types, or else one of ours.
std::unique_ptr<Device> make_device(const AddedTypes& added, const std::string& name, const api::Device& config);

} // namespace lxdcore::device
