// SPDX-License-Identifier: Apache-2.0
#include "resources/ethtool.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "util/unique_fd.hpp"

namespace lxdcore::resources {

namespace {

/// By bit; "" is no mode but a port or a flag.
constexpr std::array<const char*, 49> kModes = {"10baseT/Half",
                                                "10baseT/Full",
                                                "100baseT/Half",
                                                "100baseT/Full",
                                                "1000baseT/Half",
                                                "1000baseT/Full",
                                                "",
                                                "",
                                                "",
                                                "",
                                                "",
                                                "",
                                                "10000baseT/Full",
                                                "",
                                                "",
                                                "2500baseX/Full",
                                                "",
                                                "1000baseKX/Full",
                                                "10000baseKX4/Full",
                                                "10000baseKR/Full",
                                                "",
                                                "20000baseMLD2/Full",
                                                "20000baseKR2/Full",
                                                "40000baseKR4/Full",
                                                "40000baseCR4/Full",
                                                "40000baseSR4/Full",
                                                "40000baseLR4/Full",
                                                "56000baseKR4/Full",
                                                "56000baseCR4/Full",
                                                "56000baseSR4/Full",
                                                "56000baseLR4/Full",
                                                "25000baseCR/Full",
                                                "25000baseKR/Full",
                                                "25000baseSR/Full",
                                                "50000baseCR2/Full",
                                                "50000baseKR2/Full",
                                                "100000baseKR4/Full",
                                                "100000baseSR4/Full",
                                                "100000baseCR4/Full",
                                                "100000baseLR4_ER4/Full",
                                                "50000baseSR2/Full",
                                                "1000baseX/Full",
                                                "10000baseCR/Full",
                                                "10000baseSR/Full",
                                                "10000baseLR/Full",
                                                "10000baseLRM/Full",
                                                "10000baseER/Full",
                                                "2500baseT/Full",
                                                "5000baseT/Full"};
constexpr std::array<std::pair<unsigned, const char*>, 6> kPortBits = {
    {{ETHTOOL_LINK_MODE_TP_BIT, "twisted pair"},
     {ETHTOOL_LINK_MODE_AUI_BIT, "AUI"},
     {ETHTOOL_LINK_MODE_MII_BIT, "media-independent"},
     {ETHTOOL_LINK_MODE_FIBRE_BIT, "fibre"},
     {ETHTOOL_LINK_MODE_BNC_BIT, "BNC"},
     {ETHTOOL_LINK_MODE_Backplane_BIT, "backplane"}}};

std::string port_name(unsigned port) {
    switch (port) {
    case PORT_TP:
        return "twisted pair";
    case PORT_AUI:
        return "AUI";
    case PORT_MII:
        return "media-independent";
    case PORT_FIBRE:
        return "fibre";
    case PORT_BNC:
        return "BNC";
    case PORT_DA:
        return "direct attach";
    case PORT_NONE:
        return "none";
    default:
        return "other";
    }
}

class Query {
public:
    explicit Query(const std::string& link) : socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
        link.copy(request_.ifr_name, sizeof request_.ifr_name - 1);
    }
    bool ask(void* data) {
        request_.ifr_data = static_cast<char*>(data);
        return ::ioctl(socket_.get(), SIOCETHTOOL, &request_) == 0;
    }

private:
    UniqueFd socket_;
    ifreq request_{};
};

/// A structure of the kernel with room for the array at its end.
template <class Head, std::size_t Bytes>
class WithTail {
public:
    Head& head() { return *reinterpret_cast<Head*>(bytes_.data()); }
    void* data() { return bytes_.data(); }

private:
    alignas(Head) std::array<std::byte, sizeof(Head) + Bytes> bytes_{};
};

std::optional<LinkFacts::Settings> settings_of(Query& query) {
    WithTail<ethtool_link_settings, 3 * 127 * sizeof(std::uint32_t)> reply;
    auto& head = reply.head();
    head.cmd = ETHTOOL_GLINKSETTINGS;
    // the first question is answered with the negated number of words of a mask
    if (!query.ask(reply.data()) || head.link_mode_masks_nwords >= 0) return std::nullopt;
    const int words = -head.link_mode_masks_nwords;
    head.cmd = ETHTOOL_GLINKSETTINGS;
    head.link_mode_masks_nwords = static_cast<std::int8_t>(words);
    if (!query.ask(reply.data())) return std::nullopt;
    LinkFacts::Settings out;
    const auto supported = [&](unsigned bit) {
        return bit / 32 < static_cast<unsigned>(words) && ((head.link_mode_masks[bit / 32] >> (bit % 32)) & 1U) != 0;
    };
    for (unsigned bit = 0; bit < kModes.size(); ++bit)
        if (*kModes[bit] != '\0' && supported(bit)) out.supported_modes.emplace_back(kModes[bit]);
    for (const auto& [bit, name] : kPortBits)
        if (supported(bit)) out.supported_ports.emplace_back(name);
    out.port_type = port_name(head.port);
    out.transceiver_type = head.transceiver == XCVR_EXTERNAL ? "external" : "internal";
    out.auto_negotiation = head.autoneg == AUTONEG_ENABLE;
    if (head.speed != static_cast<std::uint32_t>(SPEED_UNKNOWN) && head.speed != 0) {
        out.speed = head.speed;
        out.duplex = head.duplex == DUPLEX_FULL ? "full" : head.duplex == DUPLEX_HALF ? "half" : "unknown";
    }
    return out;
}

std::optional<std::string> permanent_address(Query& query) {
    constexpr std::size_t kMax = 32; // an Infiniband address has 20
    WithTail<ethtool_perm_addr, kMax> reply;
    auto& head = reply.head();
    head.cmd = ETHTOOL_GPERMADDR;
    head.size = kMax;
    if (!query.ask(reply.data()) || head.size == 0 || head.size > kMax) return std::nullopt;
    std::string text;
    for (std::size_t i = 0; i < head.size; ++i)
        text += fmt::format("{}{:02x}", i == 0 ? "" : ":", head.data[i]);
    return text;
}

} // namespace

LinkFacts read_link(const std::string& link) {
    LinkFacts out;
    if (link.size() >= IFNAMSIZ) return out;
    Query query{link};
    ethtool_drvinfo driver{};
    driver.cmd = ETHTOOL_GDRVINFO;
    if (query.ask(&driver))
        out.firmware_version.assign(driver.fw_version, ::strnlen(driver.fw_version, sizeof driver.fw_version));
    out.permanent_address = permanent_address(query);
    ethtool_value value{};
    value.cmd = ETHTOOL_GLINK;
    if (query.ask(&value)) out.link_detected = value.data != 0;
    out.settings = settings_of(query);
    return out;
}

} // namespace lxdcore::resources
