// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/seccomp_profile.hpp"

#include <array>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "instance/intercept/interception.hpp"
#include "instance/lxc/seccomp_text.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

/// New names and those that LXD had before.
constexpr std::array<std::pair<const char*, const char*>, 4> kNames{{
    {"security.syscalls.allow", "security.syscalls.whitelist"},
    {"security.syscalls.deny", "security.syscalls.blacklist"},
    {"security.syscalls.deny_default", "security.syscalls.blacklist_default"},
    {"security.syscalls.deny_compat", "security.syscalls.blacklist_compat"},
}};
enum Name { Allow, Deny, DenyDefault, DenyCompat };

std::string value_of(const api::StringMap& config, const char* key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

std::string value_of(const api::StringMap& config, Name name) {
    const auto& [key, old] = kNames[name];
    const auto value = value_of(config, key);
    return value.empty() ? value_of(config, old) : value;
}

[[noreturn]] void refuse(std::string message) { throw Error{ErrorCode::InvalidArgument, std::move(message)}; }

} // namespace

void check_seccomp(const api::StringMap& config) {
    for (const auto& [key, old] : kNames)
        if (!value_of(config, key).empty() && !value_of(config, old).empty())
            refuse(fmt::format("Mutually exclusive keys {} and {} are set", key, old));
    const bool allow = !value_of(config, Allow).empty();
    const bool deny = !value_of(config, Deny).empty() || text::is_true(value_of(config, DenyDefault)) ||
                      text::is_true(value_of(config, DenyCompat));
    if (!value_of(config, "raw.seccomp").empty() && (allow || deny))
        refuse("raw.seccomp is mutually exclusive with security.syscalls*");
    if (allow && deny) refuse("security.syscalls.allow is mutually exclusive with security.syscalls.deny*");
}

std::string seccomp_profile(const api::StringMap& config) {
    if (auto raw = value_of(config, "raw.seccomp"); !raw.empty()) return raw;
    const auto allow = value_of(config, Allow), deny = value_of(config, Deny);
    const bool defaults = !text::is_false(value_of(config, DenyDefault));
    const bool compat = text::is_true(value_of(config, DenyCompat));
    const auto asked = notify_rules(interception_of(config));
    if (!allow.empty()) return "2\nallowlist\n[all]\n" + allow + "\n" + asked;
    if (!defaults && !compat && deny.empty() && asked.empty()) return {};
    std::string out = "2\ndenylist\n";
    if (defaults) out += seccomp_text::defaults;
    if (!defaults) out += "[all]\n";
    out += asked;
    if (compat) out += seccomp_text::compat;
    if (!deny.empty()) out += (compat ? "[all]\n" : "") + deny + "\n";
    return out;
}

bool asks_about_calls(std::string_view policy) { return policy.find(" notify") != std::string_view::npos; }

} // namespace lxdcore::instance
