// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"
#include "config/validators.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::config {

namespace {

[[noreturn]] void refuse(std::string text) { throw Error{ErrorCode::InvalidArgument, std::move(text)}; }

/// Known to LXD for virtual machines only; a profile may carry them.
constexpr std::array kVirtualMachineKeys{
    std::string_view{"agent.nic_config"},    std::string_view{"limits.memory.hugepages"},
    std::string_view{"migration.stateful"},  std::string_view{"raw.qemu"},
    std::string_view{"raw.qemu.conf"},       std::string_view{"security.agent.metrics"},
    std::string_view{"security.secureboot"}, std::string_view{"volatile.apply_nvram"},
};

/// Data that never reaches a generated file.
bool is_free_text(std::string_view key) {
    return key.starts_with("user.") || key.starts_with("cloud-init.") || key.starts_with("image.");
}

/// Several lines by nature; whoever applies them takes them apart line by line.
bool has_lines(std::string_view key) {
    return key.starts_with("raw.") || key == "security.syscalls.allow" || key == "security.syscalls.deny" ||
           key == "security.syscalls.blacklist" || key == "security.syscalls.whitelist";
}

void check_characters(const std::string& key, const std::string& value) {
    if (names::has_control(key))
        refuse(fmt::format("Invalid configuration key {}: control character", text::quote(key)));
    if (!names::is_utf8(value)) refuse(fmt::format("The value of {} is not valid UTF-8 text", text::quote(key)));
    if (is_free_text(key)) return;
    if (!has_lines(key)) {
        if (key.starts_with("environment.") && value.find('\n') != std::string::npos)
            refuse("Environment variables cannot contain line breaks");
        if (names::has_control(value))
            refuse(fmt::format("The value of {} holds a control character", text::quote(key)));
        return;
    }
    for (const auto& line : text::split(value, '\n')) {
        std::string blanks_for_tabs = line;
        std::replace(blanks_for_tabs.begin(), blanks_for_tabs.end(), '\t', ' ');
        if (names::has_control(blanks_for_tabs))
            refuse(fmt::format("The value of {} holds a control character", text::quote(key)));
    }
}

bool matches(std::string_view pattern, std::string_view name) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == name;
    const auto prefix = pattern.substr(0, star);
    const auto suffix = pattern.substr(star + 1);
    return name.starts_with(prefix) && name.ends_with(suffix) &&
           name.size() >= prefix.size() + suffix.size() + (suffix.empty() ? 0 : 1);
}

/// Switching off what is not there is fine.
void refuse_unsupported(const Key& key, const std::string& name, const std::string& value) {
    const bool off = key.validate == check::boolean && text::is_false(value);
    if (key.supported || value.empty() || off) return;
    refuse(fmt::format("The configuration key {} is not supported by this server yet", text::quote(name)));
}

/// The device table's name: "disk", "nic:bridged", …; empty when LXD or we do not know it.
std::string table_name(const api::Device& device) {
    const auto field = [&](const char* key) {
        const auto it = device.find(key);
        return it == device.end() ? std::string{} : it->second;
    };
    const auto type = field("type");
    if (type.empty()) refuse("Missing device type in config");
    if (type != "nic") return type;
    return field("network").empty() ? "nic:" + field("nictype") : "nic:bridged";
}

void check_disk(const api::Device& device) {
    const auto has = [&](const char* key) {
        const auto it = device.find(key);
        return it != device.end() && !it->second.empty();
    };
    const bool root = has("path") && device.at("path") == "/" && !has("source");
    if (!root && !has("source")) refuse("Disk entry is missing the required \"source\" or \"path\" property");
    if (root && !has("pool")) refuse("Root disk entry must have a \"pool\" property set");
    if (!root && has("size")) refuse("Only the root disk may have a size quota");
    if (!root && has("size.state")) refuse("Only the root disk may have a migration size quota");
    if (root) return;
    const auto& source = device.at("source");
    if (has("pool")) {
        if (source.starts_with('/')) refuse("Storage volumes cannot be specified as absolute paths");
    } else if (!source.starts_with('/')) {
        refuse("Source path must be absolute for local sources");
    }
    if (has("ceph.cluster_name") || has("ceph.user_name"))
        refuse(fmt::format("Invalid options ceph.cluster_name/ceph.user_name for source {}", text::quote(source)));
}

void check_nic(const api::Device& device) {
    const auto has = [&](const char* key) {
        const auto it = device.find(key);
        return it != device.end() && !it->second.empty();
    };
    if (has("network")) {
        for (const auto* key : {"nictype", "parent", "mtu", "maas.subnet.ipv4", "maas.subnet.ipv6"})
            if (has(key))
                refuse(fmt::format("Cannot use \"{}\" property in conjunction with \"network\" property", key));
    } else if (device.contains("nictype") && device.at("nictype") == "bridged" && !has("parent")) {
        refuse("Invalid value for device option \"parent\": Required value");
    }
}

void check_device(const api::Device& device) {
    std::span<const Key> keys;
    try {
        keys = device_keys(table_name(device));
        if (keys.empty()) refuse("Unsupported device type");
    } catch (Error& error) {
        error.add_context("Failed loading device");
        throw;
    }
    for (const auto& [key, value] : device) {
        if (key == "type") continue;
        const auto* known = find(keys, key);
        if (known == nullptr) refuse(fmt::format("Invalid device option {}", text::quote(key)));
        if (names::has_control(key) || names::has_control(value))
            refuse(fmt::format("Invalid value for device option {}: control character", text::quote(key)));
        if (value.empty()) continue;
        try {
            known->validate(value);
        } catch (Error& error) {
            error.add_context(fmt::format("Invalid value for device option {}", text::quote(key)));
            throw;
        }
    }
    if (device.at("type") == "disk") check_disk(device);
    if (device.at("type") == "nic") check_nic(device);
}

void check_path_is_free(const api::Devices& devices, const std::string& name, const api::StringMap& device) {
    const auto path = device.find("path");
    if (device.at("type") != "disk" || path == device.end() || path->second.empty()) return;
    for (const auto& [other, values] : devices) {
        if (other == name) continue;
        const auto type = values.find("type");
        const auto taken = values.find("path");
        if (type != values.end() && type->second == "disk" && taken != values.end() && taken->second == path->second)
            refuse(fmt::format("More than one disk device uses the same path {}", text::quote(path->second)));
    }
}

} // namespace

const Key* find(std::span<const Key> keys, std::string_view name) {
    const auto it = std::lower_bound(keys.begin(), keys.end(), name,
                                     [](const Key& key, std::string_view wanted) { return key.name < wanted; });
    if (it != keys.end() && it->name == name && name.find('*') == std::string_view::npos) return &*it;
    for (const auto& key : keys)
        if (key.name.find('*') != std::string_view::npos && matches(key.name, name)) return &key;
    return nullptr;
}

void check_text(const api::StringMap& config) {
    for (const auto& [key, value] : config)
        check_characters(key, value);
}

void check_text(const api::Devices& devices) {
    for (const auto& [name, device] : devices) {
        bool bad = names::has_control(name);
        for (const auto& [key, value] : device)
            bad = bad || names::has_control(key) || names::has_control(value);
        if (bad) refuse(fmt::format("Device {} holds a control character", text::quote(name)));
    }
}

void check_supported(const api::StringMap& config) {
    for (const auto& [name, value] : config)
        if (const auto* key = find(instance_keys(), name); key != nullptr) refuse_unsupported(*key, name, value);
}

void validate_instance(const api::StringMap& config, bool profile) {
    check_text(config);
    for (const auto& [name, value] : config) {
        if (profile && name.starts_with("volatile.")) refuse("Volatile keys can only be set on instances");
        if (profile && name.starts_with("image.")) refuse("Image keys can only be set on instances");
        const auto* key = find(instance_keys(), name);
        const bool machine =
            std::find(kVirtualMachineKeys.begin(), kVirtualMachineKeys.end(), name) != kVirtualMachineKeys.end();
        if (key == nullptr || (machine && !profile)) refuse(fmt::format("Unknown configuration key: {}", name));
        if (value.empty()) continue;
        key->validate(value);
        refuse_unsupported(*key, name, value);
    }
}

void validate_devices(const api::Devices& devices) {
    for (const auto& [name, device] : devices) {
        if (name.size() > 64) refuse("The maximum device name length is 64 characters");
        try {
            names::check_device(name);
            check_device(device);
            check_path_is_free(devices, name, device);
        } catch (Error& error) {
            std::string text = error.what();
            // LXD names the device a second time where it cannot even be loaded.
            if (constexpr std::string_view loading = "Failed loading device"; text.starts_with(loading))
                text.insert(loading.size(), " " + text::quote(name));
            throw Error{error.code(), fmt::format("Device validation failed for {}: {}", text::quote(name), text)};
        }
    }
}

void validate_options(std::span<const Key> keys, const api::StringMap& config, const std::string& entity) {
    const auto owner = entity.empty() ? std::string{} : fmt::format("for {} ", entity);
    for (const auto& [name, value] : config) {
        const auto quoted = text::quote(name);
        const auto* key = find(keys, name);
        if (key == nullptr)
            refuse(fmt::format("Invalid option {}{}", owner, entity.empty() ? quoted : "option " + quoted));
        const auto invalid = fmt::format("Invalid value {}option {}", entity.empty() ? "for " : owner, quoted);
        // raw.dnsmasq has several lines by nature; its emitter takes them apart.
        const bool lines = name.starts_with("user.") || name == "raw.dnsmasq";
        if (names::has_control(name) || (!lines && names::has_control(value))) refuse(invalid + ": control character");
        if (value.empty()) continue;
        try {
            key->validate(value);
        } catch (Error& error) {
            error.add_context(invalid);
            throw;
        }
        refuse_unsupported(*key, name, value);
    }
}

namespace {
/// insert() keeps what is there: the strongest come first.
template <typename Map>
Map expand(const Map& local, const std::vector<const Map*>& profiles) {
    auto expanded = local;
    for (auto it = profiles.rbegin(); it != profiles.rend(); ++it)
        expanded.insert((*it)->begin(), (*it)->end());
    return expanded;
}
} // namespace

api::StringMap expand_config(const api::StringMap& local, const std::vector<const api::StringMap*>& profiles) {
    return expand(local, profiles);
}

api::Devices expand_devices(const api::Devices& local, const std::vector<const api::Devices*>& profiles) {
    return expand(local, profiles);
}

} // namespace lxdcore::config
