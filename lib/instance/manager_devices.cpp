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

/// One change of the devices; its steps back hold it, and both configurations outlive them.
struct Manager::DeviceChange {
    Manager& manager;
    const Loaded &before, &after;
    std::optional<Running> running;
    IdMap map;
    std::string path;
    api::StringMap changes = {}; ///< volatile keys to store

    device::Target seen_by(const Loaded& instance) const {
        auto seen = manager.target(instance, map, path);
        if (running) {
            seen.init_pid = running->init_pid;
            seen.init_pidfd = running->init_pidfd->get();
        }
        return seen;
    }
    std::unique_ptr<device::Device> make(const std::string& name, const Loaded& instance) const {
        return manager.make_device(name, instance.devices.at(name));
    }
    void plug(const std::string& name, const Loaded& instance, device::Volatile values) {
        if (running)
            for (const auto& [key, value] : make(name, instance)->plug(seen_by(instance), values))
                values[key] = value;
        store_device_volatile(changes, name, values);
    }
    void unplug(const std::string& name, const Loaded& instance, const device::Volatile& values) const {
        if (running) (void)make(name, instance)->unplug(seen_by(instance), values);
    }
    device::Volatile kept(const std::string& name, const Loaded& instance) const {
        return device_volatile(instance.row.config, name);
    }

    /// All checks come before the first change.
    void validate() const {
        for (const auto& [name, config] : after.devices) {
            const auto it = before.devices.find(name);
            if (it != before.devices.end() && it->second == config) continue;
            try {
                make(name, after)->validate(seen_by(after), false);
            } catch (Error& error) {
                error.add_context(fmt::format("Invalid devices: Device validation failed for {}", text::quote(name)));
                throw;
            }
        }
    }
    void add(const std::string& name, const Loaded& instance) {
        const auto device = make(name, instance);
        plug(name, instance, added_values(*device, seen_by(instance), kept(name, instance)));
    }
    void remove(const std::string& name, const Loaded& instance, const device::Volatile& values) {
        unplug(name, instance, values);
        make(name, instance)->removed(seen_by(instance), values);
        for (const auto& [key, value] : values)
            changes["volatile." + name + "." + key] = "";
    }
    /// A device that is plugged once more may have another name on the host.
    void remember(const std::string& name) {
        api::StringMap values;
        store_device_volatile(values, name, device_volatile(changes, name));
        manager.set_config(before, values);
    }
    void update(const std::string& name, const Loaded& from, const Loaded& to) const {
        make(name, to)->update(seen_by(to), from.devices.at(name), kept(name, after));
    }
};

/// Brings the devices from @p before to @p after, on the running container too; gives the volatile keys to store. What
/// was done until a failure, @p undo takes back, which must go before the two configurations.
api::StringMap Manager::apply_devices(const Loaded& before, const Loaded& after, Rollback& undo) {
    const auto running = runtime_.find(after.ref());
    const auto change = std::make_shared<DeviceChange>(DeviceChange{.manager = *this,
                                                                    .before = before,
                                                                    .after = after,
                                                                    .running = running,
                                                                    .map = running ? running->idmap : IdMap{},
                                                                    .path = devices_path(after.ref())});
    change->validate();
    for (const auto& [name, config] : before.devices) {
        if (after.devices.contains(name)) continue;
        change->remove(name, before, change->kept(name, before));
        undo.add([change, name = name] {
            change->add(name, change->before);
            change->remember(name);
        });
    }
    for (const auto& name : start_order(after.devices)) {
        const auto it = before.devices.find(name);
        if (it == before.devices.end()) {
            change->add(name, after);
            undo.add([change, name] { change->remove(name, change->after, device_volatile(change->changes, name)); });
        } else if (const auto& config = after.devices.at(name); it->second == config) {
            continue;
        } else if (!running) {
            continue;
        } else if (make_device(name, config)->can_update(it->second)) {
            try {
                change->update(name, before, after);
            } catch (Error& error) {
                error.add_context("Failed to update device " + text::quote(name));
                throw;
            }
            undo.add([change, name] { change->update(name, change->after, change->before); });
        } else {
            change->unplug(name, before, change->kept(name, after));
            undo.add([change, name] {
                change->plug(name, change->before, change->kept(name, change->before));
                change->remember(name);
            });
            change->plug(name, after, change->kept(name, after));
            undo.add([change, name] { change->unplug(name, change->after, device_volatile(change->changes, name)); });
        }
    }
    return change->changes;
}

} // namespace lxdcore::instance
