// SPDX-License-Identifier: Apache-2.0
#include "device/extension.hpp"

#include <algorithm>

#include <lxdcore/error.hpp>

#include "util/names.hpp"

namespace lxdcore {

DeviceType::~DeviceType() = default;

void DeviceType::plug(const DeviceRequest&) {
    throw Error{ErrorCode::BadState, "Device cannot be added when instance is running"};
}

void DeviceType::unplug(const DeviceRequest&) {
    throw Error{ErrorCode::BadState, "Device cannot be removed when instance is running"};
}

namespace device {

namespace {

/// What becomes a line of lxc.conf.
void check(const DeviceMount& mount) {
    const auto bad = [](const std::string& text) { return text.empty() || names::has_control(text); };
    if (bad(mount.source) || bad(mount.target) || bad(mount.fstype) ||
        std::any_of(mount.options.begin(), mount.options.end(), bad))
        throw Error{ErrorCode::InvalidArgument, "The device's mount is not well-formed"};
    if (("/" + mount.target + "/").find("/../") != std::string::npos)
        throw Error{ErrorCode::InvalidArgument, "The device's mount leaves the instance"};
}

} // namespace

DeviceRequest ExtensionDevice::request(const Target& target, const Volatile& current) const {
    DeviceRequest request{.project = target.project,
                          .instance = target.instance,
                          .name = name_,
                          .config = config_,
                          .instance_config = target.expanded_config,
                          .remembered = current};
    request.privileged = target.idmap.ranges.empty();
    request.host_uid = static_cast<std::uint64_t>(target.idmap.host_uid(0).value_or(0));
    request.host_gid = static_cast<std::uint64_t>(target.idmap.host_gid(0).value_or(0));
    request.init_pid = target.init_pid;
    return request;
}

void ExtensionDevice::validate(const Target& target, bool) { type_.validate(request(target, {})); }

StartPlan ExtensionDevice::start(const Target& target, const Volatile& current, Rollback& undo) {
    const auto begun = type_.start(request(target, current));
    // The instance as it is now may be gone when this is undone.
    undo.add([this_type = &type_, project = target.project, instance = target.instance, name = name_, config = config_,
              expanded = target.expanded_config, current] {
        this_type->stopped({project, instance, name, config, expanded, current});
    });
    StartPlan plan;
    for (const auto& mount : begun.mounts) {
        check(mount);
        plan.mounts.push_back(
            {mount.source, mount.target.substr(mount.target.find_first_not_of('/')), mount.fstype, mount.options});
    }
    plan.set = begun.remember;
    return plan;
}

Volatile ExtensionDevice::stopped(const Target& target, const Volatile& current) {
    type_.stopped(request(target, current));
    return {};
}

void ExtensionDevice::removed(const Target& target, const Volatile& current) {
    type_.removed(request(target, current));
}

Volatile ExtensionDevice::plug(const Target& target, const Volatile& current) {
    type_.plug(request(target, current));
    return current;
}

Volatile ExtensionDevice::unplug(const Target& target, const Volatile& current) {
    type_.unplug(request(target, current));
    return {};
}

std::unique_ptr<Device> make_device(const AddedTypes& added, const std::string& name, const api::Device& config) {
    const auto type = config.find("type");
    const auto found = type == config.end() ? added.types.end() : added.types.find(type->second);
    if (found != added.types.end()) return std::make_unique<ExtensionDevice>(name, config, *found->second);
    return make_device(name, config);
}

} // namespace device

} // namespace lxdcore
