// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "resources/pci_device.hpp"
#include "resources/resources.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
const std::string kDevices = "sys/bus/pci/devices";

/// Vital product data: tagged blocks, the first a name, the others keywords of two letters with values.
Json vpd_of(const std::string& data) {
    Json out = Json::object();
    for (std::size_t at = 0; at < data.size();) {
        const auto byte = [&](std::size_t i) { return i < data.size() ? static_cast<unsigned char>(data[i]) : 0U; };
        const auto tag = byte(at);
        if ((tag & 0x80U) == 0) break; // the end, or nothing we know
        const auto size = byte(at + 1) | (byte(at + 2) << 8U);
        const auto end = std::min(at + 3 + size, data.size());
        at += 3;
        if (tag == 0x82) out["product_name"] = text::trim(data.substr(at, end - at));
        while ((tag == 0x90 || tag == 0x91) && at + 3 <= end) {
            const auto key = data.substr(at, 2);
            const auto value = data.substr(at + 3, std::min<std::size_t>(byte(at + 2), end - at - 3));
            at += 3 + byte(at + 2);
            if (key != "RV" && key != "RW") out["entries"][key] = text::trim(value);
        }
        at = end;
    }
    return out;
}

bool is_text(const std::string& value) {
    for (std::size_t at = 0; at < value.size();) {
        char32_t rune = 0;
        const auto size = text::decode_utf8(std::string_view{value}.substr(at), rune);
        if (size == 0 || rune < ' ') return false;
        at += size;
    }
    return true;
}

/// What a card's memory holds need not be text.
void drop_binary(Json& vpd) {
    if (vpd.contains("product_name") && !is_text(vpd["product_name"].get<std::string>())) vpd.erase("product_name");
    if (!vpd.contains("entries")) return;
    Json kept = Json::object();
    for (const auto& [key, value] : vpd["entries"].items())
        if (is_text(key) && is_text(value.get<std::string>())) kept[key] = value;
    vpd["entries"] = std::move(kept);
}

} // namespace

Json card_of(const Sysfs& files, const HardwareIds& ids, const std::string& device) {
    Json card = {{"numa_node", files.numa_node(device)}};
    if (const auto driver = files.driver(device); !driver.empty()) {
        card["driver"] = driver;
        card["driver_version"] = files.driver_version(device);
    }
    if (const auto address = files.pci_address(device); !address.empty())
        card["pci_address"] = address;
    else if (auto usb = files.usb_address(device); !usb.empty())
        card["usb_address"] = std::move(usb);
    // a virtio device has ids of its own
    const auto vendor = files.id(device + "/vendor"), product = files.id(device + "/device");
    if (!vendor.empty()) card["vendor_id"] = vendor;
    if (!product.empty()) card["product_id"] = product;
    if (auto name = ids.vendor(vendor); !name.empty()) card["vendor"] = std::move(name);
    if (auto name = ids.product(vendor, product); !name.empty()) card["product"] = std::move(name);
    return card;
}

Json sriov_of(const Sysfs& files, const std::string& device, const std::function<Json(const std::string&)>& make) {
    if (!files.exists(device + "/sriov_numvfs")) return nullptr;
    Json functions;
    for (const auto& entry : files.list(device))
        if (entry.starts_with("virtfn")) functions.push_back(make(device + "/" + entry));
    return {{"current_vfs", files.number(device + "/sriov_numvfs")},
            {"maximum_vfs", files.number(device + "/sriov_totalvfs")},
            {"vfs", std::move(functions)}};
}

std::vector<std::string> pci_of_class(const Sysfs& files, unsigned device_class) {
    std::vector<std::string> found;
    for (const auto& address : files.list(kDevices)) {
        const auto path = kDevices + "/" + address;
        if (files.hex(path + "/class") >> 16 == device_class && !files.exists(path + "/physfn")) found.push_back(path);
    }
    return found;
}

Json counted_cards(Json cards) {
    auto total = cards.size();
    for (const auto& card : cards)
        if (card.contains("sriov")) total += card["sriov"]["vfs"].size();
    return {{"cards", std::move(cards)}, {"total", total}};
}

Json pci(const Host& host) {
    const auto& files = host.files;
    const auto ids = HardwareIds::pci(files);
    auto devices = Json::array();
    for (const auto& address : files.list(kDevices)) {
        const auto path = kDevices + "/" + address;
        const auto vendor = files.id(path + "/vendor"), product = files.id(path + "/device");
        auto vpd = vpd_of(files.text(path + "/vpd"));
        drop_binary(vpd);
        devices.push_back({{"driver", files.driver(path)},
                           {"driver_version", files.driver_version(path)},
                           {"numa_node", files.numa_node(path)},
                           {"pci_address", address},
                           {"vendor_id", vendor},
                           {"vendor", ids.vendor(vendor)},
                           {"product_id", product},
                           {"product", ids.product(vendor, product)},
                           {"iommu_group", text::parse_int(files.link_name(path + "/iommu_group")).value_or(0)},
                           {"vpd", std::move(vpd)}});
    }
    const auto total = devices.size();
    return {{"devices", std::move(devices)}, {"total", total}};
}

} // namespace lxdcore::resources
