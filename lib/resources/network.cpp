// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <nlohmann/json.hpp>

#include "resources/pci_device.hpp"
#include "resources/resources.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
constexpr unsigned kNetworkClass = 0x02;
constexpr std::int64_t kInfiniband = 32; ///< ARPHRD_INFINIBAND

/// The character devices that belong to an Infiniband card.
Json infiniband_of(const Sysfs& files, const std::string& device) {
    Json out = Json::object();
    const auto add = [&](const std::string& kind, const std::string& folder, const char* prefix) {
        for (const auto& name : files.list(device + "/" + folder)) {
            if (!name.starts_with(prefix)) continue;
            out[kind + "_name"] = name;
            out[kind + "_device"] = files.text(device + "/" + folder + "/" + name + "/dev");
        }
    };
    add("issm", "infiniband_mad", "issm");
    add("mad", "infiniband_mad", "umad");
    add("verb", "infiniband_verbs", "uverbs");
    return out;
}

void add_settings(Json& port, const LinkFacts::Settings& settings) {
    if (!settings.supported_modes.empty()) port["supported_modes"] = settings.supported_modes;
    if (!settings.supported_ports.empty()) port["supported_ports"] = settings.supported_ports;
    port["port_type"] = settings.port_type;
    port["transceiver_type"] = settings.transceiver_type;
    port["auto_negotiation"] = settings.auto_negotiation;
    if (settings.speed == 0) return;
    port["link_speed"] = settings.speed;
    port["link_duplex"] = settings.duplex;
}

class Cards {
public:
    explicit Cards(const Host& host) : host_{host}, ids_{HardwareIds::pci(host.files)} {}

    Json card(const std::string& device, bool physical) {
        const auto& files = host_.files;
        auto card = card_of(files, ids_, device);
        if (card.contains("usb_address")) { // ids of USB devices are another list
            card.erase("vendor_id");
            card.erase("product_id");
        }
        auto ports = Json::array();
        for (const auto& name : files.list(device + "/net")) {
            const auto facts = host_.link(name);
            if (ports.empty() && !facts.firmware_version.empty()) card["firmware_version"] = facts.firmware_version;
            ports.push_back(port(device, name, physical ? facts : LinkFacts{}));
        }
        if (!ports.empty()) card["ports"] = std::move(ports);
        if (auto sriov = sriov_of(files, device, [&](const auto& function) { return this->card(function, false); });
            !sriov.is_null())
            card["sriov"] = std::move(sriov);
        return card;
    }

private:
    Json port(const std::string& device, const std::string& name, const LinkFacts& facts) const {
        const auto& files = host_.files;
        const auto path = device + "/net/" + name;
        const bool infiniband = files.number(path + "/type") == kInfiniband;
        Json port = {{"id", name},
                     {"address", facts.permanent_address ? *facts.permanent_address : files.text(path + "/address")},
                     {"port", files.number(path + "/dev_port")},
                     {"protocol", infiniband ? "infiniband" : "ethernet"},
                     {"auto_negotiation", false},
                     {"link_detected", facts.link_detected.value_or(false)}};
        if (infiniband)
            if (auto own = infiniband_of(files, device); !own.empty()) port["infiniband"] = std::move(own);
        if (facts.settings) add_settings(port, *facts.settings);
        return port;
    }

    const Host& host_;
    HardwareIds ids_;
};

} // namespace

Json network(const Host& host) {
    Cards cards{host};
    std::set<std::string> seen; ///< what cards sit on
    auto list = Json::array();
    for (const auto& name : host.files.list("sys/class/net")) {
        const auto device = host.files.real("sys/class/net/" + name + "/device");
        // bridges, veths, tunnels have none; virtual functions are shown below their card
        if (device.empty() || host.files.exists(device + "/physfn") || !seen.insert(device).second) continue;
        list.push_back(cards.card(device, true));
        if (list.back().contains("pci_address")) seen.insert(list.back()["pci_address"].get<std::string>());
    }
    for (const auto& device : pci_of_class(host.files, kNetworkClass)) // those without a driver
        if (!seen.contains(device.substr(device.rfind('/') + 1))) list.push_back(cards.card(device, true));
    return counted_cards(std::move(list));
}

} // namespace lxdcore::resources
