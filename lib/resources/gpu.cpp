// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <nlohmann/json.hpp>

#include "resources/pci_device.hpp"
#include "resources/resources.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
constexpr unsigned kDisplayClass = 0x03;
constexpr const char* kNvidiaMajor = "195";

Json drm_of(const Sysfs& files, const std::string& device) {
    Json out;
    for (const auto& name : files.list(device + "/drm")) {
        const auto number = files.text(device + "/drm/" + name + "/dev");
        if (name.starts_with("card")) {
            out["id"] = text::parse_int(name.substr(4)).value_or(0);
            out["card_name"] = name;
            out["card_device"] = number;
        } else if (name.starts_with("controlD")) {
            out["control_name"] = name;
            out["control_device"] = number;
        } else if (name.starts_with("renderD")) {
            out["render_name"] = name;
            out["render_device"] = number;
        }
    }
    return out;
}

/// Kinds of mediated devices that a card can be divided into.
Json mdev_of(const Sysfs& files, const std::string& device) {
    Json out;
    for (const auto& type : files.list(device + "/mdev_supported_types")) {
        const auto path = device + "/mdev_supported_types/" + type;
        auto& entry = out[type];
        entry["api"] = files.text(path + "/device_api");
        entry["available"] = files.number(path + "/available_instances");
        entry["devices"] = nullptr;
        if (const auto devices = files.list(path + "/devices"); !devices.empty()) entry["devices"] = devices;
        if (auto name = files.text(path + "/name"); !name.empty()) entry["name"] = std::move(name);
        if (auto about = files.text(path + "/description"); !about.empty()) entry["description"] = std::move(about);
    }
    return out;
}

/// What Nvidia's own driver tells in /proc.
Json nvidia_of(const Sysfs& files, const std::string& address) {
    Json out;
    for (const auto& line : text::split(files.text("proc/driver/nvidia/gpus/" + address + "/information"), '\n')) {
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        const auto key = text::trim(line.substr(0, colon)), value = text::trim(line.substr(colon + 1));
        if (key == "Model") {
            out["model"] = value;
            out["brand"] = value.substr(0, value.find(' '));
        } else if (key == "Device Minor") {
            out["card_name"] = "nvidia" + value;
            out["card_device"] = std::string{kNvidiaMajor} + ":" + value;
        }
    }
    return out;
}

Json card(const Sysfs& files, const HardwareIds& ids, const std::string& device) {
    auto out = card_of(files, ids, device);
    const auto add = [&](const char* key, Json part) {
        if (!part.is_null()) out[key] = std::move(part);
    };
    add("drm", drm_of(files, device));
    add("mdev", mdev_of(files, device));
    if (out.contains("pci_address")) add("nvidia", nvidia_of(files, out["pci_address"].get<std::string>()));
    add("sriov", sriov_of(files, device, [&](const auto& function) { return card(files, ids, function); }));
    return out;
}

} // namespace

Json gpu(const Host& host) {
    const auto& files = host.files;
    const auto ids = HardwareIds::pci(files);
    std::set<std::string> seen;
    auto cards = Json::array();
    for (const auto& name : files.list("sys/class/drm")) {
        const auto device = files.real("sys/class/drm/" + name + "/device");
        // connectors lead to their card, which has no drm folder
        if (device.empty() || !files.exists(device + "/drm") || files.exists(device + "/physfn") ||
            !seen.insert(device).second)
            continue;
        cards.push_back(card(files, ids, device));
    }
    for (const auto& path : pci_of_class(files, kDisplayClass)) { // those without a driver
        const auto device = files.real(path);
        if (!seen.contains(device)) cards.push_back(card(files, ids, device));
    }
    return counted_cards(std::move(cards));
}

} // namespace lxdcore::resources
