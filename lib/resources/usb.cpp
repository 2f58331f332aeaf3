// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "resources/hardware_ids.hpp"
#include "resources/resources.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
constexpr std::int64_t kHubClass = 0x09;
const std::string kDevices = "sys/bus/usb/devices";

Json interfaces_of(const Sysfs& files, const HardwareIds& ids, const std::string& device) {
    Json list;
    for (const auto& entry : files.list(device)) {
        const auto path = device + "/" + entry;
        if (!files.exists(path + "/bInterfaceNumber")) continue;
        const auto kind = static_cast<unsigned>(files.hex(path + "/bInterfaceClass"));
        const auto subkind = static_cast<unsigned>(files.hex(path + "/bInterfaceSubClass"));
        list.push_back({{"class", ids.device_class(kind)},
                        {"class_id", kind},
                        {"driver", files.driver(path)},
                        {"driver_version", files.driver_version(path)},
                        {"number", files.hex(path + "/bInterfaceNumber")},
                        {"subclass", ids.device_subclass(kind, subkind)},
                        {"subclass_id", subkind}});
    }
    return list;
}

/// Mbit/s; the slowest devices have 1.5.
Json speed_of(const std::string& text) {
    const double speed = std::strtod(text.c_str(), nullptr);
    const auto whole = static_cast<std::int64_t>(speed);
    return speed == static_cast<double>(whole) ? Json(whole) : Json(speed);
}

} // namespace

Json usb(const Host& host) {
    const auto& files = host.files;
    const auto ids = HardwareIds::usb(files);
    auto devices = Json::array();
    for (const auto& name : files.list(kDevices)) {
        const auto path = kDevices + "/" + name;
        if (!files.exists(path + "/bDeviceClass") || files.hex(path + "/bDeviceClass") == kHubClass) continue;
        const auto vendor = files.text(path + "/idVendor"), product = files.text(path + "/idProduct");
        auto product_name = files.text(path + "/product");
        if (product_name.empty()) product_name = ids.product(vendor, product);
        devices.push_back({{"bus_address", files.number(path + "/busnum")},
                           {"device_address", files.number(path + "/devnum")},
                           {"interfaces", interfaces_of(files, ids, path)},
                           {"vendor", ids.vendor(vendor)},
                           {"vendor_id", vendor},
                           {"product", std::move(product_name)},
                           {"product_id", product},
                           {"speed", speed_of(files.text(path + "/speed"))}});
    }
    const auto total = devices.size();
    return {{"devices", std::move(devices)}, {"total", total}};
}

} // namespace lxdcore::resources
