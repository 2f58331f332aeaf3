// SPDX-License-Identifier: Apache-2.0
#include "instance/root_disk.hpp"

#include <lxdcore/error.hpp>

#include "instance/manager.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

std::string value(const api::Device& device, const char* key) {
    const auto it = device.find(key);
    return it == device.end() ? std::string{} : it->second;
}

/// "" when there is no root disk, or none that says.
std::string root_pool(const api::Devices& devices) {
    const auto* root = find_root_disk(devices);
    return root == nullptr ? std::string{} : value(root->second, "pool");
}

} // namespace

const std::pair<const std::string, api::Device>* find_root_disk(const api::Devices& devices) {
    for (const auto& entry : devices)
        if (value(entry.second, "type") == "disk" && value(entry.second, "path") == "/" &&
            value(entry.second, "source").empty())
            return &entry;
    return nullptr;
}

void place_root_disk(api::Devices& local, const api::Devices& expanded, const std::string& pool) {
    if (const auto* own = find_root_disk(local)) {
        local[own->first]["pool"] = pool;
        return;
    }
    const auto* given = find_root_disk(expanded);
    if (given != nullptr && value(given->second, "pool") == pool) return;
    auto device = given != nullptr ? given->second : api::Device{{"type", "disk"}, {"path", "/"}};
    device["pool"] = pool;
    std::string free = given != nullptr ? given->first : "root";
    while (given == nullptr && (local.contains(free) || expanded.contains(free)))
        free += "0";
    local[free] = std::move(device);
}

void check_root_pool(const Loaded& before, const Loaded& after) {
    const auto* was = find_root_disk(before.devices);
    const auto* is = find_root_disk(after.devices);
    if (was != nullptr && is != nullptr && value(was->second, "pool") != value(is->second, "pool"))
        throw Error{ErrorCode::InvalidArgument,
                    "Cannot update root disk device pool name to " + text::quote(value(is->second, "pool"))};
}

void check_root_of_profile(const Loaded& before, const Loaded& after) {
    const auto pool = root_pool(before.devices);
    if (!pool.empty() && root_pool(before.row.devices).empty() && root_pool(after.devices) != pool)
        throw Error{ErrorCode::InvalidArgument, "At least one instance relies on this profile's root disk device"};
}

} // namespace lxdcore::instance
