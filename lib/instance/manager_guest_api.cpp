// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "instance/manager.hpp"
#include "system/pid_namespace.hpp"
#include "util/text.hpp"

namespace lxdcore {

GuestApi::~GuestApi() = default;

namespace instance {

namespace {

constexpr std::string_view kGuestPath = "dev/lxd";

bool is_guests_key(std::string_view key) { return key.starts_with("user.") || key.starts_with("cloud-init."); }

std::uint32_t root_uid(const IdMap& map) {
    for (const auto& range : map.ranges)
        if (range.uid && range.ns == 0) return static_cast<std::uint32_t>(range.host);
    return 0;
}

} // namespace

bool offers_guest_api(const Loaded& instance) {
    const auto value = instance.value("security.devlxd");
    return value.empty() || text::is_true(value);
}

std::optional<GuestApi::Caller> Manager::find(const Process& process) const {
    try {
        for (const auto& id : pid_namespaces(process.pid, process.pidfd)) {
            const auto found = runtime_.in_namespace(id);
            if (!found) continue;
            const auto& [ref, running] = *found;
            return Caller{ref, running.generation, process.uid == root_uid(running.idmap)};
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::NotFound) throw;
    }
    return std::nullopt;
}

Loaded Manager::seen_by(const Caller& caller) const {
    const auto running = runtime_.find(caller.instance);
    if (!running || running->generation != caller.run) throw Error{ErrorCode::NotFound, "not found"};
    auto instance = load(caller.instance);
    if (!offers_guest_api(instance)) throw Error{ErrorCode::Forbidden, "not authorized"};
    return instance;
}

void Manager::check(const Caller& caller) const { (void)seen_by(caller); }

api::StringMap Manager::config(const Caller& caller) const {
    auto config = seen_by(caller).config;
    std::erase_if(config, [](const auto& entry) { return !is_guests_key(entry.first); });
    return config;
}

std::string Manager::config(const Caller& caller, const std::string& key) const {
    const auto config = seen_by(caller).config;
    if (!is_guests_key(key)) throw Error{ErrorCode::Forbidden, "not authorized"};
    const auto it = config.find(key);
    if (it == config.end()) throw Error{ErrorCode::NotFound, "not found"};
    return it->second;
}

api::Devices Manager::devices(const Caller& caller) const {
    const auto instance = seen_by(caller);
    auto devices = instance.devices;
    for (auto& [name, device] : devices) {
        if (device["type"] != "nic" || device.contains("hwaddr")) continue;
        const auto values = device_volatile(instance.row.config, name);
        if (const auto it = values.find("hwaddr"); it != values.end()) device["hwaddr"] = it->second;
    }
    return devices;
}

std::string Manager::meta_data(const Caller& caller) const {
    const auto instance = seen_by(caller);
    return fmt::format("#cloud-config\ninstance-id: {}\nlocal-hostname: {}\n{}",
                       instance.value("volatile.cloud-init.instance-id"), instance.row.name,
                       instance.value("user.meta-data"));
}

void Manager::check_images(const Caller& caller) const {
    if (!text::is_true(seen_by(caller).value("security.devlxd.images")))
        throw Error{ErrorCode::Forbidden, "not authorized"};
}

std::unique_ptr<EventSubscription> Manager::subscribe(const Caller& caller, std::set<std::string> types,
                                                      std::function<void(const Event&)> receive) {
    auto subscription = guest_events_.subscribe(caller.instance, std::move(types), std::move(receive));
    check(caller); // afterwards, so that an end in between is not missed
    return subscription;
}

/// Gives or takes the guest's /dev/lxd. The caller holds the claim.
void Manager::switch_guest_api(const Loaded& before, const Loaded& after, const Running& running) {
    const bool is = offers_guest_api(after);
    if (offers_guest_api(before) == is) return;
    const bool mapped = !running.idmap.ranges.empty();
    if (is) {
        const auto dir = s_.state_dir.make_dir("devlxd", 0755);
        const UniqueFd tree{static_cast<int>(
            ::syscall(SYS_open_tree, dir.fd(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH))};
        if (!tree) throw_errno("clone mount of devlxd");
        s_.helper.call(
            "mount",
            {{"target", kGuestPath}, {"directory", true}, {"user_namespace", mapped}, {"pid", running.init_pid}},
            {{tree.get(), 5}, {running.init_pidfd->get(), 6}});
    } else {
        s_.helper.call("unmount", {{"target", kGuestPath}, {"user_namespace", mapped}},
                       {{running.init_pidfd->get(), 5}});
        guests_->remove(after.ref(), running_guest(after), nullptr, {}, "/" + std::string{kGuestPath});
    }
}

/// What changed, as it is stored by now.
void Manager::tell_guest(const Loaded& before, const Loaded& after) {
    const auto ref = after.ref();
    if (!offers_guest_api(after)) {
        if (offers_guest_api(before)) guest_events_.end(ref);
        return;
    }
    guest_events_.config_changed(ref, before.config, after.config);
    guest_events_.devices_changed(ref, before.devices, after.devices,
                                  [this](const std::string& name, const api::Device& was, const api::Device& now) {
                                      return make_device(name, now)->can_update(was);
                                  });
}

bool cloud_init_differs(const Loaded& before, const Loaded& after) {
    const auto seed = [](const Loaded& instance, const std::string& what) {
        const auto value = instance.value("cloud-init." + what);
        return value.empty() ? instance.value("user." + what) : value;
    };
    const auto nics = [](const Loaded& instance) {
        std::vector<std::pair<std::string, std::string>> names;
        for (const auto& [name, device] : instance.devices)
            if (const auto type = device.find("type"); type != device.end() && type->second == "nic")
                names.emplace_back(name, device.contains("name") ? device.at("name") : "");
        return names;
    };
    const auto differs = [&](const char* what) { return seed(before, what) != seed(after, what); };
    return nics(before) != nics(after) || differs("user-data") || differs("vendor-data") || differs("network-config");
}

} // namespace instance

} // namespace lxdcore
