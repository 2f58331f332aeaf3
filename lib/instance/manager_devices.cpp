// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "config/config_keys.hpp"
#include "device/extension.hpp"
#include "instance/manager.hpp"
#include "storage/custom_volumes.hpp"
#include "storage/pool_access.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

std::string Manager::devices_path(const InstanceRef& ref) const {
    return s_.state_dir.make_dir("devices", 0711).make_dir(dir_name(ref), 0711).path();
}

std::unique_ptr<device::Device> Manager::make_device(const std::string& name, const api::Device& config) const {
    return s_.added_types != nullptr ? device::make_device(*s_.added_types, name, config)
                                     : device::make_device(name, config);
}

void Manager::validate_devices(const api::Devices& devices) const {
    if (s_.added_types != nullptr)
        config::validate_devices(devices, s_.added_types->keys);
    else
        config::validate_devices(devices);
}

device::Target Manager::target(const Loaded& instance, const IdMap& map, const std::string& path) const {
    return device::Target{.project = instance.row.project,
                          .instance = instance.row.name,
                          .expanded_config = instance.config,
                          .expanded_devices = instance.devices,
                          .idmap = map,
                          .devices_path = path,
                          .network = s_.network,
                          .storage = s_.storage,
                          .log = s_.log,
                          .helper = &s_.helper};
}

device::Volatile Manager::added_values(device::Device& device, const device::Target& seen,
                                       const device::Volatile& current) {
    try {
        return device.added(seen, current);
    } catch (Error& error) {
        error.add_context("Failed add validation for device " + text::quote(device.name()));
        throw;
    }
}

/// Volumes that are filesystems of their own stay mounted while a container is on them.
void Manager::hold_volumes(const Loaded& instance) {
    const auto ref = instance.ref();
    Mounts mounts;
    for (const auto& [name, device] : instance.devices) {
        const auto value = [&device = device](const char* key) {
            const auto it = device.find(key);
            return it == device.end() ? std::string{} : it->second;
        };
        const auto pool = value("pool"), source = value("source");
        if (value("type") != "disk" || pool.empty()) continue;
        try {
            if (!s_.storage.mounts_volumes(pool)) continue;
            if (value("path") == "/")
                mounts.push_back(s_.storage.open_instance(ref.project, ref.name).mount);
            else if (!source.empty())
                mounts.push_back(storage::PoolAccess::of(s_.storage).custom().open(pool, ref.project, source).mount);
        } catch (const Error& error) { // the container has it, whether its name leads to it or not
            s_.log.warning("Failed to keep a volume mounted",
                           {{"instance", ref.name}, {"device", name}, {"err", error.what()}});
        }
    }
    const auto held = mounts_.lock(); // shorter than what is let go
    if (!mounts.empty() || held->contains(ref)) std::swap((*held)[ref], mounts);
}

/// After the end of a container: every device lets go, and one that fails does not keep the others.
void Manager::release_devices(const Loaded& instance, const IdMap& map, api::StringMap& changes) {
    const auto path = devices_path(instance.ref());
    for (const auto& [name, config] : instance.devices) {
        try {
            auto device = make_device(name, config);
            const auto current = device_volatile(instance.row.config, name);
            store_device_volatile(changes, name, device->stopped(target(instance, map, path), current));
        } catch (const Error& error) {
            s_.log.warning("Failed to stop device",
                           {{"instance", instance.row.name}, {"device", name}, {"err", error.what()}});
        }
    }
}

/// Brings the devices from @p before to @p after, on the running container too; gives the volatile keys to store.
api::StringMap Manager::apply_devices(const Loaded& before, const Loaded& after) {
    api::StringMap changes;
    const auto running = runtime_.find(after.ref());
    const auto map = running ? running->idmap : IdMap{};
    const auto path = devices_path(after.ref());
    const auto seen_by = [&](const Loaded& instance) {
        auto seen = target(instance, map, path);
        if (running) {
            seen.init_pid = running->init_pid;
            seen.init_pidfd = running->init_pidfd->get();
        }
        return seen;
    };
    const auto remove = [&](const std::string& name) {
        auto device = make_device(name, before.devices.at(name));
        const auto seen = seen_by(before);
        const auto current = device_volatile(before.row.config, name);
        if (running) (void)device->unplug(seen, current);
        device->removed(seen, current);
        for (const auto& [key, value] : current)
            changes["volatile." + name + "." + key] = "";
    };
    const auto add = [&](const std::string& name, const Loaded& instance, const device::Volatile& kept) {
        auto device = make_device(name, instance.devices.at(name));
        const auto seen = seen_by(instance);
        auto values = added_values(*device, seen, kept);
        if (running)
            for (const auto& [key, value] : device->plug(seen, values))
                values[key] = value;
        store_device_volatile(changes, name, values);
    };

    // All checks come before the first change.
    for (const auto& [name, config] : after.devices) {
        const auto it = before.devices.find(name);
        if (it != before.devices.end() && it->second == config) continue;
        try {
            make_device(name, config)->validate(seen_by(after), false);
        } catch (Error& error) {
            error.add_context(fmt::format("Invalid devices: Device validation failed for {}", text::quote(name)));
            throw;
        }
    }
    Rollback undo;
    for (const auto& [name, config] : before.devices) {
        const auto it = after.devices.find(name);
        if (it != after.devices.end()) continue;
        remove(name);
        undo.add([&, name] { add(name, before, device_volatile(before.row.config, name)); });
    }
    for (const auto& name : start_order(after.devices)) {
        const auto& config = after.devices.at(name);
        const auto it = before.devices.find(name);
        if (it != before.devices.end() && it->second == config) continue;
        if (it == before.devices.end()) {
            add(name, after, device_volatile(after.row.config, name));
            undo.add([&, name] {
                auto device = make_device(name, after.devices.at(name));
                if (running) (void)device->unplug(seen_by(after), device_volatile(changes, name));
                device->removed(seen_by(after), device_volatile(changes, name));
            });
            continue;
        }
        auto device = make_device(name, config);
        const auto current = device_volatile(after.row.config, name);
        if (device->can_update(it->second)) {
            if (!running) continue;
            try {
                device->update(seen_by(after), it->second, current);
            } catch (Error& error) {
                error.add_context("Failed to update device " + text::quote(name));
                throw;
            }
            undo.add([&, name] {
                make_device(name, before.devices.at(name))
                    ->update(seen_by(before), after.devices.at(name), device_volatile(after.row.config, name));
            });
        } else if (running) {
            (void)make_device(name, it->second)->unplug(seen_by(before), current);
            store_device_volatile(changes, name, device->plug(seen_by(after), current));
        }
    }
    undo.commit();
    return changes;
}

} // namespace lxdcore::instance
