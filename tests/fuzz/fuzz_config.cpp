// SPDX-License-Identifier: Apache-2.0
// Keys and values of configuration, and names: lines of the input. What is accepted can go into generated files.
#include <nlohmann/json.hpp>

#include "config/config_keys.hpp"
#include "config/volume_keys.hpp"
#include "fuzz/fuzz.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

using namespace lxdcore;

namespace {

/// True if @p check takes @p name.
bool taken(void (*check)(std::string_view), std::string_view name) {
    try {
        check(name);
        return true;
    } catch (const Error&) {
        return false;
    }
}

void check_names(std::string_view name) {
    for (auto* check : {names::check_instance, names::check_profile, names::check_network, names::check_pool,
                        names::check_volume, names::check_device, names::check_project, names::check_log_file}) {
        if (!taken(check, name)) continue;
        fuzz::require(!name.empty() && !names::has_control(name) && name != "." && name != "..");
        fuzz::require(check == names::check_device || name.find('/') == std::string_view::npos);
    }
    fuzz::refused_or_done([&] { (void)text::parse_bytes(name); });
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto lines = fuzz::lines_of(fuzz::text_of(data, size));
    check_names(lines.front());
    api::StringMap values;
    for (const auto& line : lines) {
        const auto equals = line.find('=');
        if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
    }
    fuzz::refused_or_done([&] { config::validate_instance(values, (size & 1) != 0); });
    fuzz::refused_or_done([&] { config::validate_options(config::bridge_keys(), values, "network \"x\""); });
    fuzz::refused_or_done([&] { config::validate_options(config::server_keys(), values, ""); });
    for (const char* driver : {"dir", "btrfs", "lvm", "zfs", "ceph", "cephfs"}) {
        fuzz::require(!config::pool_keys(driver).empty());
        fuzz::refused_or_done([&] { config::validate_options(config::pool_keys(driver), values, "pool \"x\""); });
        for (const auto& [key, value] : values)
            if (const auto* known = config::find_volume_key(driver, key); known != nullptr && !value.empty())
                fuzz::refused_or_done([&] { known->validate(value); });
    }
    fuzz::refused_or_done([&] { config::validate_options(config::volume_keys(), values, ""); });
    fuzz::refused_or_done([&] {
        config::validate_devices({{"d", values}});
        for (const auto& [key, value] : values)
            fuzz::require(!names::has_control(key) && !names::has_control(value));
    });
    return 0;
}
