// SPDX-License-Identifier: Apache-2.0
#include "instance/kernel_limits.hpp"

#include <sys/resource.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::pair<std::string_view, int> kResources[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK}};

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return out;
}

std::optional<std::uint64_t> parse_value(std::string_view text) {
    return text == "unlimited" ? std::optional<std::uint64_t>{RLIM_INFINITY} : parse_number(text);
}

/// liblxc takes the kernel's number as well.
std::optional<int> parse_resource(std::string_view name) {
    for (const auto& [known, resource] : kResources)
        if (name == known) return resource;
    const auto number = parse_number(name);
    if (!number || *number >= RLIM_NLIMITS) return std::nullopt;
    return static_cast<int>(*number);
}

} // namespace

std::vector<KernelLimit> kernel_limits(const std::string& lxc_conf) {
    constexpr std::string_view kPrefix = "lxc.prlimit.";
    std::vector<KernelLimit> out;
    for (const auto& line : text::split(lxc_conf, '\n')) {
        const auto equals = line.find('=');
        if (!line.starts_with(kPrefix) || equals == std::string::npos) continue;
        const auto resource = parse_resource(text::trim(line.substr(kPrefix.size(), equals - kPrefix.size())));
        const auto values = text::split(text::trim(line.substr(equals + 1)), ':');
        if (!resource || values.empty() || values.size() > 2) continue;
        const auto soft = parse_value(values.front()), hard = parse_value(values.back());
        if (soft && hard) out.push_back({.resource = *resource, .soft = *soft, .hard = *hard});
    }
    return out;
}

} // namespace lxdcore::instance
