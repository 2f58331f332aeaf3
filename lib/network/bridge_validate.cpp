// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"
#include "network/bridge_config.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::network {
namespace {

bool is_free_text(const std::string& key) { return key.starts_with("user."); }

/// raw.dnsmasq is a file of lines; everything else that reaches generated text is one line (R5).
void check_characters(const std::string& key, const std::string& value) {
    names::check_config_key(key);
    if (is_free_text(key)) return;
    const bool lines = key == "raw.dnsmasq";
    for (const std::string& line : lines ? text::split(value, '\n') : std::vector<std::string>{value}) {
        if (names::has_control(line))
            throw Error{
                ErrorCode::InvalidArgument,
                fmt::format("Invalid value for network option \"{}\": control characters are not allowed", key)};
    }
}

/// Goes into dnsmasq's arguments between its own separators.
void check_domain(const std::string& domain) {
    if (domain.find_first_of("/,#\"\\") != std::string::npos || domain.starts_with('-'))
        throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid domain name \"{}\"", domain)};
}

/// The same: one word, so that no other option can follow (R7).
void check_word(std::string_view key, const std::string& value) {
    for (const char c : value)
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            throw Error{ErrorCode::InvalidArgument,
                        fmt::format("Invalid value for network option \"{}\": {}", key, text::quote(value))};
}

void check_value(const config::Key& key, const std::string& value) {
    if (key.name == "dns.domain") check_domain(value);
    if (key.name == "dns.search")
        for (const auto& domain : text::split(value, ','))
            check_domain(text::trim(domain));
    if (key.name.ends_with(".dhcp.expiry")) check_word(key.name, value);
    if (key.validate) key.validate(value);
}

} // namespace

void validate_bridge_config(const std::string& name, const api::StringMap& config) {
    for (const auto& [key, value] : config) {
        check_characters(key, value);
        if (is_free_text(key)) continue;
        const config::Key* known = config::find(config::bridge_keys(), key);
        if (!known)
            throw Error{ErrorCode::Internal, fmt::format("Invalid option for network \"{}\" option \"{}\"", name, key)};
        if (value.empty()) continue;
        try {
            check_value(*known, value);
        } catch (const Error& e) {
            throw Error{ErrorCode::Internal,
                        fmt::format("Invalid value for network \"{}\" option \"{}\": {}", name, key, e.what())};
        }
        const bool elsewhere =
            (key == "bridge.mode" && value == "fan") || (key == "bridge.driver" && value != "native");
        if (!known->supported || elsewhere)
            throw Error{ErrorCode::Unsupported,
                        fmt::format("Network option \"{}\" is not supported by this server", key)};
    }
}

} // namespace lxdcore::network
