// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;

/// SMBIOS chassis types, from 1.
constexpr std::array<const char*, 36> kChassis = {"Other",
                                                  "Unknown",
                                                  "Desktop",
                                                  "Low Profile Desktop",
                                                  "Pizza Box",
                                                  "Mini Tower",
                                                  "Tower",
                                                  "Portable",
                                                  "Laptop",
                                                  "Notebook",
                                                  "Hand Held",
                                                  "Docking Station",
                                                  "All in One",
                                                  "Sub Notebook",
                                                  "Space-saving",
                                                  "Lunch Box",
                                                  "Main Server Chassis",
                                                  "Expansion Chassis",
                                                  "SubChassis",
                                                  "Bus Expansion Chassis",
                                                  "Peripheral Chassis",
                                                  "RAID Chassis",
                                                  "Rack Mount Chassis",
                                                  "Sealed-case PC",
                                                  "Multi-system chassis",
                                                  "Compact PCI",
                                                  "Advanced TCA",
                                                  "Blade",
                                                  "Blade Enclosure",
                                                  "Tablet",
                                                  "Convertible",
                                                  "Detachable",
                                                  "IoT Gateway",
                                                  "Embedded PC",
                                                  "Mini PC",
                                                  "Stick PC"};

bool in_container(const Sysfs& files) {
    for (const auto* sign : {"run/systemd/container", "run/host/container-manager", ".dockerenv", "run/.containerenv"})
        if (files.exists(sign)) return true;
    const auto environment = "\n" + files.text("proc/1/environ");
    return environment.find(std::string{"\0container=", 11}) != std::string::npos ||
           environment.starts_with("\ncontainer=");
}

bool is_virtual(const Sysfs& files, const std::string& maker) {
    if (files.exists("sys/hypervisor/type")) return true;
    for (const auto* word : {"QEMU", "KVM", "VMware", "VirtualBox", "innotek", "Xen", "Bochs", "Parallels"})
        if (maker.find(word) != std::string::npos) return true;
    for (const auto& line : text::split(files.text("proc/cpuinfo"), '\n'))
        if (line.starts_with("flags") && (line + " ").find(" hypervisor ") != std::string::npos) return true;
    return false;
}

} // namespace

Json machine(const Host& host) {
    const auto& files = host.files;
    const auto dmi = [&](const char* name) { return files.text(std::string{"sys/class/dmi/id/"} + name); };
    Json result = {{"uuid", dmi("product_uuid")},
                   {"vendor", dmi("sys_vendor")},
                   {"product", dmi("product_name")},
                   {"family", dmi("product_family")},
                   {"version", dmi("product_version")},
                   {"sku", dmi("product_sku")},
                   {"serial", dmi("product_serial")},
                   {"type", "physical"},
                   {"firmware", nullptr},
                   {"chassis", nullptr},
                   {"motherboard", nullptr}};
    if (in_container(files))
        result["type"] = "container";
    else if (is_virtual(files, dmi("sys_vendor") + " " + dmi("product_name")))
        result["type"] = "virtual-machine";
    if (!files.exists("sys/class/dmi/id")) return result;
    const auto chassis = text::parse_int(dmi("chassis_type")).value_or(0);
    const bool known = chassis >= 1 && chassis <= static_cast<std::int64_t>(kChassis.size());
    result["firmware"] = {{"vendor", dmi("bios_vendor")}, {"date", dmi("bios_date")}, {"version", dmi("bios_version")}};
    result["chassis"] = {{"vendor", dmi("chassis_vendor")},
                         {"type", known ? kChassis.at(static_cast<std::size_t>(chassis - 1)) : ""},
                         {"serial", dmi("chassis_serial")},
                         {"version", dmi("chassis_version")}};
    result["motherboard"] = {{"vendor", dmi("board_vendor")},
                             {"product", dmi("board_name")},
                             {"serial", dmi("board_serial")},
                             {"version", dmi("board_version")}};
    return result;
}

Json all(const Host& host) {
    return {{"cpu", cpu(host)},         {"memory", memory(host)}, {"gpu", gpu(host)}, {"network", network(host)},
            {"storage", storage(host)}, {"usb", usb(host)},       {"pci", pci(host)}, {"system", machine(host)}};
}

} // namespace lxdcore::resources
