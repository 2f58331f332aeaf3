// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "resources/sysfs.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;

Json port_of(const std::string& name, const std::string& path) {
    Json port = {{"id", name},
                 {"address", Sysfs::text(path + "/address")},
                 {"port", Sysfs::number(path + "/dev_port")},
                 {"protocol", Sysfs::number(path + "/type") == 32 ? "infiniband" : "ethernet"},
                 {"port_type", "other"},
                 {"transceiver_type", "internal"},
                 {"auto_negotiation", false},
                 {"link_detected", Sysfs::number(path + "/carrier") == 1}};
    if (const auto speed = Sysfs::number(path + "/speed"); speed > 0) {
        port["link_speed"] = speed;
        port["link_duplex"] = Sysfs::text(path + "/duplex");
    }
    return port;
}

Json pci_ids(const std::string& address) {
    const auto device = "sys/bus/pci/devices/" + address;
    return {{"vendor_id", Sysfs::id(device + "/vendor")}, {"product_id", Sysfs::id(device + "/device")}};
}

std::int64_t iommu_group(const std::string& device) {
    const auto target = Sysfs::link(device + "/iommu_group");
    return text::parse_int(target.substr(target.rfind('/') + 1)).value_or(0);
}

} // namespace

Json network() {
    auto cards = Json::array();
    for (const auto& name : Sysfs::list("sys/class/net")) {
        const auto path = "sys/class/net/" + name;
        if (!Sysfs::exists(path + "/device")) continue; // bridges, veths, tunnels
        const auto driver = Sysfs::driver(path + "/device");
        Json card = {{"driver", driver},
                     {"driver_version", Sysfs::driver_version(driver)},
                     {"ports", Json::array({port_of(name, path)})},
                     {"numa_node", Sysfs::numa_node(path + "/device")}};
        if (const auto address = Sysfs::pci_address(path); !address.empty()) {
            card["pci_address"] = address;
            const auto own = path + "/device";
            card.update(pci_ids(address));
            if (Sysfs::exists(own + "/vendor")) { // a virtio device has ids of its own
                card["vendor_id"] = Sysfs::id(own + "/vendor");
                card["product_id"] = Sysfs::id(own + "/device");
            }
        }
        cards.push_back(std::move(card));
    }
    const auto total = cards.size();
    return {{"cards", std::move(cards)}, {"total", total}};
}

Json gpu() {
    auto cards = Json::array();
    for (const auto& name : Sysfs::list("sys/class/drm")) {
        if (!name.starts_with("card") || name.find('-') != std::string::npos) continue;
        const auto device = "sys/class/drm/" + name + "/device";
        const auto address = Sysfs::pci_address("sys/class/drm/" + name);
        const auto driver = Sysfs::driver(device);
        Json card = {{"driver", driver},
                     {"driver_version", Sysfs::driver_version(driver)},
                     {"drm",
                      {{"id", text::parse_int(name.substr(4)).value_or(0)},
                       {"card_name", name},
                       {"card_device", Sysfs::text("sys/class/drm/" + name + "/dev")}}},
                     {"numa_node", Sysfs::numa_node(device)}};
        if (!address.empty()) {
            card["pci_address"] = address;
            card.update(pci_ids(address));
        }
        cards.push_back(std::move(card));
    }
    const auto total = cards.size();
    return {{"cards", std::move(cards)}, {"total", total}};
}

Json usb() {
    auto devices = Json::array();
    for (const auto& name : Sysfs::list("sys/bus/usb/devices")) {
        const auto path = "sys/bus/usb/devices/" + name;
        if (name.starts_with("usb") || !Sysfs::exists(path + "/idVendor")) continue; // root hubs, interfaces
        Json interfaces = Json::array();
        for (const auto& entry : Sysfs::list(path)) {
            const auto interface = path + "/" + entry;
            if (!Sysfs::exists(interface + "/bInterfaceNumber")) continue;
            const auto driver = Sysfs::driver(interface);
            interfaces.push_back({{"class", Sysfs::text(interface + "/interface")},
                                  {"class_id", Sysfs::number(interface + "/bInterfaceClass")},
                                  {"driver", driver},
                                  {"driver_version", Sysfs::driver_version(driver)},
                                  {"number", Sysfs::number(interface + "/bInterfaceNumber")},
                                  {"subclass", ""},
                                  {"subclass_id", Sysfs::number(interface + "/bInterfaceSubClass")}});
        }
        devices.push_back({{"bus_address", Sysfs::number(path + "/busnum")},
                           {"device_address", Sysfs::number(path + "/devnum")},
                           {"interfaces", std::move(interfaces)},
                           {"vendor", Sysfs::text(path + "/manufacturer")},
                           {"vendor_id", Sysfs::text(path + "/idVendor")},
                           {"product", Sysfs::text(path + "/product")},
                           {"product_id", Sysfs::text(path + "/idProduct")},
                           {"speed", Sysfs::number(path + "/speed")}});
    }
    const auto total = devices.size();
    return {{"devices", std::move(devices)}, {"total", total}};
}

Json pci() {
    auto devices = Json::array();
    for (const auto& address : Sysfs::list("sys/bus/pci/devices")) {
        const auto path = "sys/bus/pci/devices/" + address;
        const auto driver = Sysfs::driver(path);
        Json device = {{"driver", driver},
                       {"driver_version", Sysfs::driver_version(driver)},
                       {"numa_node", Sysfs::numa_node(path)},
                       {"pci_address", address},
                       {"vendor", ""},
                       {"product", ""},
                       {"iommu_group", iommu_group(path)},
                       {"vpd", Json::object()}};
        device.update(pci_ids(address));
        devices.push_back(std::move(device));
    }
    const auto total = devices.size();
    return {{"devices", std::move(devices)}, {"total", total}};
}

Json system() {
    const auto dmi = [](const char* name) { return Sysfs::text(std::string{"sys/class/dmi/id/"} + name); };
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
    if (!Sysfs::exists("sys/class/dmi/id")) {
        result["type"] = "container"; // what LXD concludes from a machine without DMI
        return result;
    }
    for (const auto* word : {"QEMU", "KVM", "VMware", "VirtualBox", "Xen", "Bochs"})
        if ((dmi("sys_vendor") + dmi("product_name")).find(word) != std::string::npos)
            result["type"] = "virtual-machine";
    result["firmware"] = {{"vendor", dmi("bios_vendor")}, {"date", dmi("bios_date")}, {"version", dmi("bios_version")}};
    result["chassis"] = {{"vendor", dmi("chassis_vendor")},
                         {"type", dmi("chassis_type")},
                         {"serial", dmi("chassis_serial")},
                         {"version", dmi("chassis_version")}};
    result["motherboard"] = {{"vendor", dmi("board_vendor")},
                             {"product", dmi("board_name")},
                             {"serial", dmi("board_serial")},
                             {"version", dmi("board_version")}};
    return result;
}

Json all() {
    return {{"cpu", cpu()},         {"memory", memory()}, {"gpu", gpu()}, {"network", network()},
            {"storage", storage()}, {"usb", usb()},       {"pci", pci()}, {"system", system()}};
}

} // namespace lxdcore::resources
