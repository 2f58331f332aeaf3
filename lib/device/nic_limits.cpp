// SPDX-License-Identifier: Apache-2.0
#include "device/nic_limits.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::device {

namespace {

[[noreturn]] void refuse(std::string text) { throw Error{ErrorCode::InvalidArgument, std::move(text)}; }

std::string get(const api::Device& device, const std::string& key) {
    const auto it = device.find(key);
    return it == device.end() ? "" : it->second;
}

/// 1000 or 1024 to the place of the letter, 0 for an unknown suffix.
std::uint64_t factor_of(std::string_view suffix) {
    if (suffix.empty() || suffix == "bit") return 1;
    constexpr std::array<std::string_view, 6> kDecimal{"kbit", "Mbit", "Gbit", "Tbit", "Pbit", "Ebit"};
    constexpr std::array<std::string_view, 6> kBinary{"Kibit", "Mibit", "Gibit", "Tibit", "Pibit", "Eibit"};
    std::uint64_t decimal = 1, binary = 1;
    for (std::size_t i = 0; i < kDecimal.size(); ++i) {
        decimal *= 1000;
        binary *= 1024;
        if (suffix == kDecimal[i]) return decimal;
        if (suffix == kBinary[i]) return binary;
    }
    return 0;
}

} // namespace

std::uint64_t parse_bits(const std::string& text) {
    if (text.empty()) return 0;
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = text::parse_int(std::string_view{text}.substr(0, digits));
    if (!number) refuse("Invalid value: " + text);
    const auto factor = factor_of(std::string_view{text}.substr(digits));
    if (factor == 0) refuse("Unsupported suffix: " + text.substr(digits));
    std::uint64_t bits = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(*number), factor, &bits)) refuse("Invalid value: " + text);
    if (bits < 8) refuse("Invalid value: " + text); // less than a byte: no rate at all
    return bits;
}

NicRate nic_rate(const api::Device& nic) {
    const auto max = get(nic, "limits.max");
    return {.ingress = parse_bits(max.empty() ? get(nic, "limits.ingress") : max),
            .egress = parse_bits(max.empty() ? get(nic, "limits.egress") : max)};
}

} // namespace lxdcore::device
