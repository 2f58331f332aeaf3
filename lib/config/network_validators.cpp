// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "config/validators.hpp"
#include "util/text.hpp"

namespace lxdcore::config::check {

namespace {

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    throw Error{ErrorCode::InvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}

struct Ip {
    int family = AF_INET;
    std::array<unsigned char, 16> bytes{};
    std::size_t size() const { return family == AF_INET ? 4 : 16; }
};

std::optional<Ip> parse_ip(std::string_view text) {
    const std::string copy{text};
    Ip ip;
    if (copy.find('\0') != std::string::npos) return std::nullopt;
    if (::inet_pton(AF_INET, copy.c_str(), ip.bytes.data()) == 1) return ip;
    ip.family = AF_INET6;
    if (::inet_pton(AF_INET6, copy.c_str(), ip.bytes.data()) == 1) return ip;
    return std::nullopt;
}

struct Cidr {
    Ip ip;
    unsigned prefix = 0;
    /// All bits behind the prefix are zero.
    bool is_network() const {
        for (unsigned bit = prefix; bit < ip.size() * 8; ++bit)
            if ((ip.bytes[bit / 8] & (0x80U >> (bit % 8))) != 0) return false;
        return true;
    }
};

Cidr parse_cidr(std::string_view text) {
    const auto slash = text.find('/');
    if (slash != std::string_view::npos) {
        const auto ip = parse_ip(text.substr(0, slash));
        const auto digits = text.substr(slash + 1);
        const auto prefix = text::parse_int(digits);
        if (ip && prefix && *prefix >= 0 && digits.size() <= 3 && digits.front() != '-' && digits.front() != '+' &&
            static_cast<std::size_t>(*prefix) <= ip->size() * 8)
            return Cidr{*ip, static_cast<unsigned>(*prefix)};
    }
    refuse("invalid CIDR address: {}", text);
}

const char* label(int family) { return family == AF_INET ? "IPv4" : "IPv6"; }

void network_of(std::string_view value, int family) {
    const auto cidr = parse_cidr(value);
    if (cidr.ip.family != family) refuse("Not an {} network {}", label(family), text::quote(value));
    if (!cidr.is_network()) refuse("Not an {} network address {}", label(family), text::quote(value));
}

void address_of(std::string_view value, int family) {
    const auto ip = parse_ip(value);
    if (!ip || ip->family != family) refuse("Not an {} address {}", label(family), text::quote(value));
}

void bridge_address(std::string_view value, int family) {
    if (value == "none" || value == "auto") return;
    const auto cidr = parse_cidr(value);
    if (cidr.ip.family != family) refuse("Not an {} address {}", label(family), text::quote(value));
    if (cidr.is_network() && cidr.prefix < cidr.ip.size() * 8)
        refuse("Not a usable {} address {}", label(family), text::quote(value));
}

void range_of(std::string_view value, int family) {
    const auto parts = text::split(value, '-');
    if (parts.size() != 2) refuse("IP range must contain start and end IP addresses");
    address_of(parts[0], family);
    address_of(parts[1], family);
    const auto first = parse_ip(parts[0]);
    const auto last = parse_ip(parts[1]);
    if (std::memcmp(first->bytes.data(), last->bytes.data(), first->size()) > 0)
        refuse("Start IP {} must be less than End IP {}", text::quote(parts[0]), text::quote(parts[1]));
}

template <typename Check>
void list_of(std::string_view value, Check check) {
    for (const auto& part : text::split(value, ',')) {
        const auto item = text::trim(part);
        try {
            check(item);
        } catch (Error& error) {
            error.add_context(fmt::format("Item {}", text::quote(item)));
            throw;
        }
    }
}

void host_and_port(std::string_view value, bool wildcard) {
    std::string_view host = value;
    std::string_view port_text;
    if (value.starts_with('[')) {
        const auto end = value.find(']');
        if (end == std::string_view::npos) refuse("address {}: missing ']' in address", value);
        host = value.substr(1, end - 1);
        const auto rest = value.substr(end + 1);
        if (!rest.empty() && rest.front() != ':') refuse("Invalid address {}", text::quote(value));
        if (!rest.empty()) port_text = rest.substr(1);
    } else if (std::count(value.begin(), value.end(), ':') == 1) {
        host = value.substr(0, value.find(':'));
        port_text = value.substr(value.find(':') + 1);
    }
    if (!port_text.empty()) port(port_text);
    const bool any_host = host.empty() || host == "0.0.0.0" || host == "::" || host == "*";
    if (any_host && !wildcard) refuse("Wildcard addresses aren't allowed");
    if (any_host || parse_ip(host)) return;
    const bool name = host.size() <= 253 && std::all_of(host.begin(), host.end(), [](unsigned char c) {
                          return std::isalnum(c) || c == '-' || c == '.';
                      });
    if (!name) refuse("Couldn't resolve {}", text::quote(host));
}

} // namespace

void address(std::string_view value) {
    if (!parse_ip(value)) refuse("Not an IP address {}", text::quote(value));
}
void address_v4(std::string_view value) { address_of(value, AF_INET); }
void address_v6(std::string_view value) { address_of(value, AF_INET6); }
void bridge_v4(std::string_view value) { bridge_address(value, AF_INET); }
void bridge_v6(std::string_view value) { bridge_address(value, AF_INET6); }
void network_v4(std::string_view value) { network_of(value, AF_INET); }
void networks_v4(std::string_view value) {
    list_of(value, [](std::string_view item) { network_of(item, AF_INET); });
}
void networks_v6(std::string_view value) {
    list_of(value, [](std::string_view item) { network_of(item, AF_INET6); });
}
void ranges_v4(std::string_view value) {
    list_of(value, [](std::string_view item) { range_of(item, AF_INET); });
}
void ranges_v6(std::string_view value) {
    list_of(value, [](std::string_view item) { range_of(item, AF_INET6); });
}

void fan_underlay(std::string_view value) {
    if (value != "auto") network_v4(value);
}

void mac(std::string_view value) {
    bool good = value.size() == 17;
    for (std::size_t i = 0; good && i < value.size(); ++i) {
        const auto c = static_cast<unsigned char>(value[i]);
        good = i % 3 == 2 ? c == ':' : std::isxdigit(c) != 0;
    }
    if (!good) refuse("Invalid MAC address, must be 6 bytes of hex separated by colons");
}

void mtu(std::string_view value) {
    const auto number = text::parse_int(value);
    if (!number || *number < 0) refuse("Invalid MTU {}", text::quote(value));
    if (*number < 1280 || *number > 16384) refuse("Out of MTU range (1280-16384) {}", text::quote(value));
}

void interface_name(std::string_view value) {
    if (value.size() < 2) refuse("Network interface is too short (minimum 2 characters)");
    if (value.size() > 15) refuse("Network interface is too long (maximum 15 characters)");
    const bool good = std::all_of(value.begin(), value.end(), [](unsigned char c) {
        return c < 0x80 && (std::isalnum(c) || c == '_' || c == '-' || c == '.');
    });
    if (!good || value == "..") refuse("Network interface contains invalid characters");
}

void interface_list(std::string_view value) {
    for (const auto& part : text::split(value, ',')) {
        const auto item = text::trim(part);
        try {
            interface_name(item);
        } catch (Error& error) {
            error.add_context(fmt::format("Invalid interface name {}", text::quote(item)));
            throw;
        }
    }
}

void port(std::string_view value) {
    const auto number = text::parse_int(value);
    if (!number) refuse("Invalid value for an integer {}", text::quote(value));
    if (*number < 1 || *number > 65535) refuse("Invalid port number {}", text::quote(value));
}

void vlan(std::string_view value) {
    if (value == "none") return;
    const auto number = text::parse_int(value);
    if (!number) refuse("Invalid VLAN ID {}", text::quote(value));
    if (*number < 0 || *number > 4094) refuse("Out of VLAN ID range (0-4094) {}", text::quote(value));
}

void vlan_list(std::string_view value) {
    for (const auto& part : text::split(value, ',')) {
        const auto item = text::trim(part);
        const auto bounds = text::split(item, '-');
        const auto first = bounds.empty() ? std::nullopt : text::parse_int(bounds.front());
        const auto last = bounds.empty() ? std::nullopt : text::parse_int(bounds.back());
        const auto inside = [](auto id) { return id && *id >= 0 && *id <= 4094; };
        if (bounds.size() > 2 || (bounds.size() == 1 && !inside(first))) refuse("Invalid VLAN range input: {}", item);
        if (bounds.size() == 2 && (!inside(first) || !inside(last) || *first > *last))
            refuse("Invalid VLAN range boundary. start:{}, end:{}", bounds[0], bounds[1]);
    }
}

void nic_address_v4(std::string_view value) {
    if (value != "none") address_v4(value);
}
void nic_address_v6(std::string_view value) {
    if (value != "none") address_v6(value);
}

void listen_address(std::string_view value) { host_and_port(value, true); }
void cluster_address(std::string_view value) { host_and_port(value, false); }

} // namespace lxdcore::config::check
