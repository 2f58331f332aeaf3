// SPDX-License-Identifier: Apache-2.0
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <map>

#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
constexpr std::int64_t kSector = 512;
using Properties = std::map<std::string, std::string>;

/// What udev found out, "E:KEY=value" by line.
Properties udev_of(const Sysfs& files, const std::string& device) {
    Properties out;
    for (const auto& line : text::split(files.text("run/udev/data/b" + device), '\n'))
        if (const auto sign = line.find('='); line.starts_with("E:") && sign != std::string::npos)
            out[line.substr(2, sign - 2)] = line.substr(sign + 1);
    return out;
}

std::string value(const Properties& properties, const char* key) {
    const auto it = properties.find(key);
    return it == properties.end() ? std::string{} : it->second;
}

/// udev writes a blank as \\x20.
std::string decode(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = [&](std::size_t at) {
            return at < text.size() ? std::string_view{"0123456789abcdef"}.find(text[at]) : std::string_view::npos;
        };
        if (text.compare(i, 2, "\\x") == 0 && digit(i + 2) < 16 && digit(i + 3) < 16) {
            out += static_cast<char>(digit(i + 2) * 16 + digit(i + 3));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return text::trim(out);
}

std::string kind(const Sysfs& files, const std::string& name, const std::string& path, const Properties& udev) {
    if (name.starts_with("sr")) return "cdrom";
    if (value(udev, "ID_ATA_SATA") == "1") return "sata";
    if (!value(udev, "ID_USB_DRIVER").empty()) return "usb";
    return files.link_name(path + "/device/subsystem");
}

/// The last of the links in /dev/disk/<folder> that lead to a disk.
std::string disk_link(const Sysfs& files, const std::string& folder, const std::string& name) {
    std::string found;
    for (const auto& entry : files.list("dev/disk/" + folder))
        if (files.link_name("dev/disk/" + folder + "/" + entry) == name) found = entry;
    return found;
}

std::int64_t block_size(const Sysfs& files, const std::string& name) {
    const auto fd = files.open("dev/" + name);
    struct stat info {};
    unsigned size = 0;
    if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISBLK(info.st_mode)) return 0;
    return ::ioctl(fd.get(), BLKPBSZGET, &size) == 0 ? size : 0;
}

Json partitions(const Sysfs& files, const std::string& name) {
    auto list = Json::array();
    const auto disk = "sys/class/block/" + name;
    for (const auto& entry : files.list(disk)) {
        const auto path = disk + "/" + entry;
        if (!entry.starts_with(name) || !files.exists(path + "/partition")) continue;
        list.push_back({{"id", entry},
                        {"device", files.text(path + "/dev")},
                        {"read_only", files.number(path + "/ro") != 0},
                        {"size", files.number(path + "/size") * kSector},
                        {"partition", files.number(path + "/partition")}});
    }
    return list;
}

Json disk_of(const Sysfs& files, const std::string& name) {
    const auto path = "sys/class/block/" + name;
    const auto number = files.text(path + "/dev");
    const auto udev = udev_of(files, number);
    const auto type = kind(files, name, path, udev);
    auto rpm = files.number(path + "/queue/rotational");
    if (const auto known = text::parse_int(value(udev, "ID_ATA_ROTATION_RATE_RPM"))) rpm = *known;
    Json disk = {{"id", name},
                 {"device", number},
                 {"type", type},
                 {"read_only", files.number(path + "/ro") != 0},
                 {"size", type == "cdrom" ? 0 : files.number(path + "/size") * kSector}, // of what lies in it
                 {"removable", files.number(path + "/removable") != 0},
                 {"numa_node", files.numa_node(path + "/device")},
                 {"block_size", block_size(files, name)},
                 {"rpm", rpm},
                 {"device_id", disk_link(files, "by-id", name)},
                 {"partitions", partitions(files, name)}};
    const auto add = [&](const char* key, std::string first, std::string second = {}) {
        if (first.empty()) first = std::move(second);
        if (!first.empty()) disk[key] = std::move(first);
    };
    add("model", decode(value(udev, "ID_MODEL_ENC")), files.text(path + "/device/model"));
    add("serial", value(udev, "ID_SERIAL_SHORT"));
    add("firmware_version", value(udev, "ID_REVISION"), files.text(path + "/device/firmware_rev"));
    add("wwn", files.text(path + "/wwid"));
    add("device_path", disk_link(files, "by-path", name));
    add("pci_address", files.pci_address(path + "/device"));
    add("usb_address", files.usb_address(path + "/device"));
    return disk;
}

} // namespace

Json storage(const Host& host) {
    const auto& files = host.files;
    auto disks = Json::array();
    std::size_t total = 0;
    for (const auto& name : files.list("sys/class/block")) {
        const auto path = "sys/class/block/" + name;
        // Only what has a device behind it: no loop, dm or zram, no partitions.
        if (!files.exists(path + "/device") || files.exists(path + "/partition")) continue;
        disks.push_back(disk_of(files, name));
        total += 1 + disks.back()["partitions"].size();
    }
    return {{"disks", std::move(disks)}, {"total", total}};
}

} // namespace lxdcore::resources
