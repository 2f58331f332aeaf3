// SPDX-License-Identifier: Apache-2.0
#include "config/added_devices.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::config {

namespace {

void check_device(const std::string& name, const api::Device& device, const std::vector<std::string>& keys) {
    names::check_device(name);
    for (const auto& [key, value] : device) {
        const bool known =
            key == "type" || key.starts_with("user.") || std::find(keys.begin(), keys.end(), key) != keys.end();
        if (!known)
            throw Error{ErrorCode::InvalidArgument,
                        fmt::format("Device validation failed for {}: Invalid device option {}", text::quote(name),
                                    text::quote(key))};
        if (names::has_control(key) || names::has_control(value))
            throw Error{
                ErrorCode::InvalidArgument,
                fmt::format("Device validation failed for {}: Invalid value for device option {}: control character",
                            text::quote(name), text::quote(key))};
    }
}

} // namespace

void validate_devices(const api::Devices& devices, const AddedDevices& added) {
    api::Devices ours;
    for (const auto& [name, device] : devices) {
        const auto type = device.find("type");
        const auto found = type == device.end() ? added.end() : added.find(type->second);
        if (found == added.end())
            ours.emplace(name, device);
        else
            check_device(name, device, found->second);
    }
    validate_devices(ours);
}

} // namespace lxdcore::config
