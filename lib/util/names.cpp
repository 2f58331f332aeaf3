// SPDX-License-Identifier: Apache-2.0
#include "util/names.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::names {

namespace {

constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view digits = "0123456789";
constexpr std::size_t longest_file_name = 255;

bool is_letter(char c) { return letters.find(c) != std::string_view::npos; }
bool is_digit(char c) { return digits.find(c) != std::string_view::npos; }

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    throw Error{ErrorCode::InvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}

bool is_lower_hex(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// What no name may be, whatever it names: it could become a path component, a line or a log record.
bool is_unsafe(std::string_view name) {
    return name == "." || name == ".." || name.find('\\') != std::string_view::npos || has_control(name) ||
           !is_utf8(name) || name.size() > longest_file_name;
}

void require_named(std::string_view name) {
    if (name.empty()) refuse("No name provided");
}

void require_no_slash(std::string_view kind, std::string_view name) {
    if (name.find('/') != std::string_view::npos) refuse("{} names may not contain slashes", kind);
}

} // namespace

void check_instance(std::string_view name) {
    if (name.find('/') != std::string_view::npos) refuse("The character \"/\" is reserved for snapshots");
    constexpr std::string_view prefix = "Invalid instance name: Name";
    if (name.empty() || name.size() > 63) refuse("{} must be 1-63 characters long", prefix);
    if (name.front() == '-') refuse("{} must not start with \"-\" character", prefix);
    if (name.back() == '-') refuse("{} must not end with \"-\" character", prefix);
    if (is_digit(name.front())) refuse("{} must not start with a number", prefix);
    if (!std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '-'; })) {
        refuse("{} can only contain alphanumeric and hyphen characters", prefix);
    }
}

void check_profile(std::string_view name) {
    require_named(name);
    require_no_slash("Profile", name);
    if (is_unsafe(name)) refuse("Invalid profile name {}", text::quote(name));
}

void check_network(std::string_view name) {
    require_named(name);
    if (name.size() < 2) refuse("Network interface is too short (minimum 2 characters)");
    if (name.size() > 15) refuse("Network interface is too long (maximum 15 characters)");
    const bool known = std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
    });
    if (!known || is_unsafe(name)) refuse("Network interface contains invalid characters");
}

void check_pool(std::string_view name) {
    require_named(name);
    require_no_slash("Storage pool", name);
    if (is_unsafe(name)) refuse("Invalid storage pool name {}", text::quote(name));
}

void check_volume(std::string_view name) {
    require_named(name);
    require_no_slash("Storage volume", name);
    if (is_unsafe(name)) refuse("Invalid storage volume {}", text::quote(name));
}

void check_alias(std::string_view name) {
    if (name.empty()) refuse("name and target are required");
    if (is_unsafe(name)) refuse("Invalid image alias {}", text::quote(name));
}

void check_device(std::string_view name) {
    if (name.size() > 64) refuse("The maximum device name length is 64 characters");
    if (name.empty() || name.size() > 63) refuse("Name must be 1-63 characters long");
    if (name.front() == '.' || name.front() == '/') {
        refuse("Name must not start with \"{}\" character", name.front());
    }
    const bool known = std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.' || c == ':';
    });
    if (!known) refuse("Name can only contain alphanumeric, hyphen, colon, underscore and full stop characters");
}

void check_project(std::string_view name) {
    require_named(name);
    require_no_slash("Project", name);
    if (name.find(' ') != std::string_view::npos) refuse("Project names may not contain spaces");
    if (name.find('_') != std::string_view::npos) refuse("Project names may not contain underscores");
    if (is_unsafe(name)) refuse("Invalid project name {}", text::quote(name));
}

void check_log_file(std::string_view name) {
    constexpr std::string_view fixed[] = {"lxc.log", "lxc.conf", "qemu.log", "qemu.conf"};
    constexpr std::string_view prefixes[] = {"migration_", "snapshot_", "exec_"};
    const bool known = std::find(std::begin(fixed), std::end(fixed), name) != std::end(fixed) ||
                       std::any_of(std::begin(prefixes), std::end(prefixes),
                                   [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (!known || name.find('/') != std::string_view::npos || is_unsafe(name)) {
        refuse("log file name {} not valid", name);
    }
}

void check_fingerprint(std::string_view full) {
    if (full.size() != 64 || !is_lower_hex(full)) refuse("Invalid image fingerprint {}", text::quote(full));
}

void check_fingerprint_prefix(std::string_view prefix) {
    // what can be no fingerprint at all, as an alias, names no image; what LIKE would expand is refused below
    if (!prefix.empty() && prefix.find_first_of("%_") == std::string_view::npos && !is_lower_hex(prefix))
        throw Error{ErrorCode::NotFound, "Image not found"};
    if (prefix.size() < 12 || prefix.size() > 64 || !is_lower_hex(prefix)) {
        refuse("Invalid image fingerprint {}: 12 to 64 hexadecimal digits are needed", text::quote(prefix));
    }
}

void check_config_key(std::string_view key) {
    if (key.empty() || has_control(key) || !is_utf8(key) || key.find_first_of(" =") != std::string_view::npos) {
        refuse("Invalid configuration key {}", text::quote(key));
    }
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        char32_t rune = 0;
        const auto length = text::decode_utf8(text.substr(i), rune);
        if (length == 0 || rune == 0) return false;
        i += length;
    }
    return true;
}

} // namespace lxdcore::names
