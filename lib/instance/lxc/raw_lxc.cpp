// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/raw_lxc.hpp"

#include <algorithm>
#include <cctype>

#include <lxdcore/error.hpp>

#include "util/emitter.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

/// liblxc skips blanks, tabs, CR and other white space around keys and values.
std::string strip(std::string_view text) {
    const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
    while (!text.empty() && space(static_cast<unsigned char>(text.front())))
        text.remove_prefix(1);
    while (!text.empty() && space(static_cast<unsigned char>(text.back())))
        text.remove_suffix(1);
    return std::string{text};
}

std::string unquote(std::string value) {
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
        return value.substr(1, value.size() - 2);
    return value;
}

bool starts_with_key(std::string_view key, std::string_view prefix) {
    // liblxc matches sub-keys by prefix: "lxc.log" covers "lxc.log.file".
    return key.starts_with(prefix) && (key.size() == prefix.size() || key[prefix.size()] == '.');
}

[[noreturn]] void refuse(const std::string& key) {
    throw Error{ErrorCode::InvalidArgument, "Setting " + key + " is not allowed"};
}

} // namespace

std::vector<std::pair<std::string, std::string>> parse_raw_lxc(std::string_view raw) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& line : text::split(raw, '\n')) {
        const auto content = strip(line);
        if (content.empty() || content.front() == '#') continue;
        const auto equals = content.find('=');
        if (equals == std::string::npos) throw Error{ErrorCode::InvalidArgument, "Invalid raw.lxc line: " + line};
        const auto key = strip(std::string_view{content}.substr(0, equals));
        const auto value = unquote(strip(std::string_view{content}.substr(equals + 1)));
        const bool odd = key.empty() || key.find_first_of(" \t#") != std::string::npos;
        if (odd || names::has_control(key) || names::has_control(value))
            throw Error{ErrorCode::InvalidArgument, "Invalid raw.lxc line: " + text::quote(line)};
        out.emplace_back(text::lower(key), value);
    }
    return out;
}

void check_raw_lxc(std::string_view raw) {
    for (const auto& [key, value] : parse_raw_lxc(raw)) {
        if (key == "lxc.logfile" || key == "lxc.loglevel" || key == "lxc.syslog" || starts_with_key(key, "lxc.log"))
            refuse(key == "lxc.log.file" ? "lxc.logfile" : key == "lxc.syslog" ? "lxc.log.syslog" : key);
        if (starts_with_key(key, "lxc.ephemeral")) refuse("lxc.ephemeral");
        if (starts_with_key(key, "lxc.prlimit"))
            throw Error{ErrorCode::InvalidArgument,
                        "Process limits should be set via \"limits.kernel.[limit name]\" and not directly via "
                        "\"lxc.prlimit.[limit name]\""};
        // These decide where we find the container and what is its root, or bring in lines that nobody has checked.
        for (const char* prefix : {"lxc.include", "lxc.cgroup.dir", "lxc.cgroup.relative", "lxc.rootfs"})
            if (starts_with_key(key, prefix)) refuse(key);
        // An empty value would take away what we have set: the id map, and the hook that tells how the guest ended.
        if (value.empty() && (starts_with_key(key, "lxc.idmap") || starts_with_key(key, "lxc.hook"))) refuse(key);
        // Our hook is written for this version, which is the one that LXD sets too.
        if (key == "lxc.hook.version" && value != "1") refuse(key);
    }
}

void check_contained(std::string_view raw) {
    for (const auto& [key, value] : parse_raw_lxc(raw))
        for (const char* prefix : {"lxc.include", "lxc.idmap", "lxc.hook", "lxc.mount", "lxc.rootfs"})
            if (starts_with_key(key, prefix)) refuse(key);
}

std::string raw_lxc_text(std::string_view raw) {
    Emitter out;
    for (const auto& [key, value] : parse_raw_lxc(raw))
        if (key.starts_with("lxc.") && key != "lxc.idmap") out.pair(key, value);
    return out.text();
}

} // namespace lxdcore::instance
