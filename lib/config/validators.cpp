// SPDX-License-Identifier: Apache-2.0
#include "config/validators.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "util/cron.hpp"
#include "util/text.hpp"

namespace lxdcore::config::check {

namespace {

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    throw Error{ErrorCode::InvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}

bool all_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void one_of(std::string_view value, std::initializer_list<const char*> allowed) {
    std::string list;
    for (const auto* candidate : allowed) {
        if (value == candidate) return;
        if (!list.empty()) list += ' ';
        list += candidate;
    }
    refuse("Invalid value {} (not one of [{}])", text::quote(value), list);
}

std::int64_t integer(std::string_view value) {
    const auto number = text::parse_int(value);
    if (!number) refuse("Invalid value for an integer {}", text::quote(value));
    return *number;
}

void unsigned_up_to(std::string_view value, std::uint64_t max, std::string_view kind) {
    std::uint64_t number = 0;
    const bool digits = all_digits(value);
    const auto status = std::from_chars(value.data(), value.data() + value.size(), number).ec;
    if (digits && status == std::errc{} && number <= max) return;
    refuse("Invalid value for {} {}: strconv.ParseUint: parsing {}: {}", kind, text::quote(value), text::quote(value),
           digits ? "value out of range" : "invalid syntax");
}

void go_number(std::string_view value, std::string_view function) {
    if (!text::parse_int(value)) refuse("strconv.{}: parsing {}: invalid syntax", function, text::quote(value));
}

/// liblxc's own reading of one line: blanks around key and value do not count.
void raw_lxc_line(std::string_view raw) {
    const auto line = text::trim(raw);
    if (line.empty() || line.front() == '#') return;
    const auto equals = line.find('=');
    if (equals == std::string::npos) refuse("Invalid raw.lxc line: {}", raw);
    const auto key = text::lower(text::trim(std::string_view{line}.substr(0, equals)));
    if (key == "lxc.logfile" || key == "lxc.log.file") refuse("Setting lxc.logfile is not allowed");
    if (key == "lxc.syslog") refuse("Setting lxc.log.syslog is not allowed");
    if (key == "lxc.log" || key.starts_with("lxc.log.") || key == "lxc.loglevel")
        refuse("Setting {} is not allowed", key);
    if (key == "lxc.ephemeral") refuse("Setting lxc.ephemeral is not allowed");
    if (key.starts_with("lxc.prlimit."))
        refuse("Process limits should be set via \"limits.kernel.[limit name]\" and not directly via "
               "\"lxc.prlimit.[limit name]\"");
    if (!key.starts_with("lxc.net.")) return;
    const auto parts = text::split(key, '.');
    if (parts.size() == 5 && (parts[3] == "ipv4" || parts[3] == "ipv6") &&
        (parts[4] == "address" || parts[4] == "gateway"))
        return;
    refuse("Only interface-specific ipv4/ipv6 lxc.net. keys are allowed");
}

} // namespace

void any(std::string_view) {}

void boolean(std::string_view value) {
    if (!text::is_true(value) && !text::is_false(value)) refuse("Invalid value for a boolean {}", text::quote(value));
}

void int64(std::string_view value) { integer(value); }
void uint32(std::string_view value) { unsigned_up_to(value, std::numeric_limits<std::uint32_t>::max(), "uint32"); }
void uint8(std::string_view value) { unsigned_up_to(value, std::numeric_limits<std::uint8_t>::max(), "uint8"); }

void priority(std::string_view value) {
    const auto number = integer(value);
    if (number < 0 || number > 10) refuse("Invalid value for a limit {}. Must be between 0 and 10", text::quote(value));
}

void size(std::string_view value) { text::parse_bytes(value); }

void uuid(std::string_view value) {
    bool good = value.size() == 36;
    for (std::size_t i = 0; good && i < value.size(); ++i) {
        const char c = value[i];
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        good = i == 8 || i == 13 || i == 18 || i == 23 ? c == '-' : hex;
    }
    if (!good) refuse("Invalid UUID");
}

void bgp_asn(std::string_view value) {
    const auto number = integer(value);
    if (number < 0 || number > 4294967294) refuse("Value isn't within valid range. Must be between 0 and 4294967294");
}

void evacuate(std::string_view value) { one_of(value, {"auto", "migrate", "live-migrate", "stop"}); }
void memory_enforce(std::string_view value) { one_of(value, {"soft", "hard"}); }
void bridge_driver(std::string_view value) { one_of(value, {"native", "openvswitch"}); }
void bridge_mode(std::string_view value) { one_of(value, {"standard", "fan"}); }
void dns_mode(std::string_view value) { one_of(value, {"dynamic", "managed", "none"}); }
void fan_type(std::string_view value) { one_of(value, {"vxlan", "ipip"}); }
void nat_order(std::string_view value) { one_of(value, {"before", "after"}); }
void acl_action(std::string_view value) { one_of(value, {"allow", "drop", "reject"}); }
void tunnel_protocol(std::string_view value) { one_of(value, {"gre", "vxlan"}); }

void architecture(std::string_view value) {
    one_of(value, {"aarch64", "ppc64le", "i686", "x86_64", "ppc", "ppc64", "riscv64", "armv6l", "armv7l", "armv8l",
                   "s390x", "mips", "mips64", "riscv32"});
}

void propagation(std::string_view value) {
    one_of(value, {"private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"});
}

void environment(std::string_view value) {
    if (value.find('\n') != std::string_view::npos) refuse("Environment variables cannot contain line breaks");
}

void cpu_set(std::string_view value) {
    for (const auto& part : text::split(value, ',')) {
        const auto dash = part.find('-');
        const bool good = dash == std::string::npos ? all_digits(part)
                                                    : all_digits(std::string_view{part}.substr(0, dash)) &&
                                                          all_digits(std::string_view{part}.substr(dash + 1));
        if (!good) refuse("Invalid CPU limit syntax");
    }
}

void cpu_allowance(std::string_view value) {
    if (value.ends_with('%')) return go_number(value.substr(0, value.size() - 1), "Atoi");
    const auto slash = value.find('/');
    if (slash == std::string_view::npos) refuse("Invalid allowance: {}", value);
    for (auto part : {value.substr(0, slash), value.substr(slash + 1)}) {
        if (part.ends_with("ms")) part.remove_suffix(2);
        go_number(part, "Atoi");
    }
}

void memory(std::string_view value) {
    if (value.ends_with('%')) {
        const auto number = value.substr(0, value.size() - 1);
        go_number(number, "ParseInt");
        if (*text::parse_int(number) == 0) refuse("Memory limit can't be 0%");
        return;
    }
    if (text::parse_bytes(value) == 0) refuse("Memory limit can't be 0");
}

/// What go-yaml calls a value that is no mapping: its tag, and a scalar's text as far as it shows it.
std::string yaml_kind(const nlohmann::json& value) {
    if (value.is_array()) return "!!seq";
    constexpr std::size_t kShown = 10;
    auto text = value.is_string() ? value.get<std::string>() : value.dump();
    if (text.size() > kShown) text = text.substr(0, kShown - 3) + "...";
    const char* tag = value.is_string()           ? "str"
                      : value.is_boolean()        ? "bool"
                      : value.is_number_integer() ? "int"
                                                  : "float";
    return fmt::format("!!{} `{}`", tag, text);
}

void yaml(std::string_view value) {
    const auto document = api::parse_yaml(value);
    if (!document.is_object() && !document.is_null())
        refuse("yaml: unmarshal errors:\n  line 1: cannot unmarshal {} into struct {{}}", yaml_kind(document));
}

void user_data(std::string_view value) {
    const auto first = value.substr(0, value.find('\n'));
    if (text::trim(first) == "#cloud-config") yaml(value);
}

void raw_lxc(std::string_view value) {
    for (const auto& line : text::split(value, '\n'))
        raw_lxc_line(line);
}

void schedule(std::string_view value) { (void)Schedule::parse(value); }

void volume_schedule(std::string_view value) {
    if (Schedule::parse(value).has_lifecycle_names())
        refuse("Schedule must be of the form: <minute> <hour> <day-of-month> <month> <day-of-week>");
}

void expiry(std::string_view value) {
    std::string seen;
    for (const auto& part : text::split(text::trim(value), ' ')) {
        const std::string_view item{part};
        if (item.size() < 2 || !all_digits(item.substr(0, item.size() - 1)) || item.size() > 19 ||
            std::string_view{"SMHdwmy"}.find(item.back()) == std::string_view::npos ||
            seen.find(item.back()) != std::string::npos)
            refuse("Invalid expiry expression");
        seen += item.back();
    }
}

void compression(std::string_view value) {
    const auto parts = text::split(value, ' ');
    bool known = false;
    for (const auto* name : {"none", "gzip", "bzip2", "lzma", "xz", "zstd", "squashfs"})
        known = known || (!parts.empty() && parts[0] == name);
    if (!known) refuse("Invalid compression algorithm {}", text::quote(value));
    // Nothing but a level may follow: the text becomes an argument of the compressor.
    const bool level = parts.size() == 2 && parts[1].size() == 2 && parts[1][0] == '-' && parts[1][1] >= '1' &&
                       parts[1][1] <= '9' && parts[0] != "none" && parts[0] != "squashfs";
    if (parts.size() > 1 && !level) refuse("Only a compression level (-1 to -9) may follow the algorithm");
}

void block_filesystem(std::string_view value) { one_of(value, {"btrfs", "ext4", "xfs"}); }

void zfs_blocksize(std::string_view value) {
    const auto bytes = text::parse_bytes(value);
    if (bytes < 512 || bytes > (16 << 20) || (bytes & (bytes - 1)) != 0)
        refuse("Value should be between 512 and 16MiB, and be power of 2");
}

void zfs_clone_copy(std::string_view value) {
    if (value != "rebase") boolean(value);
}

void minimal_replica(std::string_view value) {
    const auto number = integer(value);
    if (number < 1 && number != -1) refuse("Invalid value for image replica count");
}

void max_standby(std::string_view value) {
    const auto number = integer(value);
    if (number < 0 || number > 5) refuse("Value must be between 0 and 5");
}

void max_voters(std::string_view value) {
    const auto number = integer(value);
    if (number < 3 || number % 2 != 1) refuse("Value must be an odd number equal to or higher than 3");
}

void offline_threshold(std::string_view value) {
    if (integer(value) <= 10) refuse("Value must be greater than '10'");
}

} // namespace lxdcore::config::check
