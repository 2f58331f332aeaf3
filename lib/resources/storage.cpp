// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "resources/sysfs.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
constexpr std::int64_t kSector = 512;

std::string kind(const std::string& name, const std::string& link) {
    if (name.starts_with("vd")) return "virtio";
    if (name.starts_with("nvme")) return "nvme";
    if (name.starts_with("mmcblk")) return "mmc";
    if (link.find("/usb") != std::string::npos) return "usb";
    if (link.find("/ata") != std::string::npos) return "sata";
    return name.starts_with("sd") ? "scsi" : "";
}

Json partitions(const std::string& name) {
    auto list = Json::array();
    const auto disk = "sys/class/block/" + name;
    for (const auto& entry : Sysfs::list(disk)) {
        const auto path = disk + "/" + entry;
        if (!entry.starts_with(name) || !Sysfs::exists(path + "/partition")) continue;
        list.push_back({{"id", entry},
                        {"device", Sysfs::text(path + "/dev")},
                        {"read_only", Sysfs::number(path + "/ro") != 0},
                        {"size", Sysfs::number(path + "/size") * kSector},
                        {"partition", Sysfs::number(path + "/partition")}});
    }
    return list;
}

} // namespace

Json storage() {
    auto disks = Json::array();
    std::size_t total = 0;
    for (const auto& name : Sysfs::list("sys/class/block")) {
        const auto path = "sys/class/block/" + name;
        // Only what has a device behind it: no loop, dm or zram, no partitions.
        if (!Sysfs::exists(path + "/device") || Sysfs::exists(path + "/partition")) continue;
        const auto link = Sysfs::link(path);
        Json disk = {{"id", name},
                     {"device", Sysfs::text(path + "/dev")},
                     {"type", kind(name, link)},
                     {"read_only", Sysfs::number(path + "/ro") != 0},
                     {"size", Sysfs::number(path + "/size") * kSector},
                     {"removable", Sysfs::number(path + "/removable") != 0},
                     {"numa_node", Sysfs::numa_node(path + "/device")},
                     {"block_size", 0},
                     {"rpm", Sysfs::number(path + "/queue/rotational")},
                     {"device_id", ""},
                     {"partitions", partitions(name)}};
        if (const auto model = Sysfs::text(path + "/device/model"); !model.empty()) disk["model"] = model;
        if (const auto serial = Sysfs::text(path + "/device/serial"); !serial.empty()) disk["serial"] = serial;
        if (const auto firmware = Sysfs::text(path + "/device/firmware_rev"); !firmware.empty())
            disk["firmware_version"] = firmware;
        if (const auto address = Sysfs::pci_address(path); !address.empty()) disk["pci_address"] = address;
        total += 1 + disk["partitions"].size();
        disks.push_back(std::move(disk));
    }
    return {{"disks", std::move(disks)}, {"total", total}};
}

} // namespace lxdcore::resources
