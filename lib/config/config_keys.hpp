// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lxdcore/api/types.hpp>

namespace lxdcore::config {

/// Checks a value that is not empty; throws Error InvalidArgument with LXD's text.
using Validator = void (*)(std::string_view value);

struct Key {
    std::string_view name; ///< "limits.memory"; a '*' stands for any text ("user.*", "volatile.*.hwaddr")
    std::string_view default_value;
    Validator validate;
    bool live = false;     ///< a running instance takes the change without restart
    bool supported = true; ///< false: known to LXD, refused here with a clear text until it works
};

/// The tables; sorted by name.
std::span<const Key> instance_keys();
std::span<const Key> server_keys();
std::span<const Key> bridge_keys();
std::span<const Key> pool_keys(std::string_view driver); ///< empty for unknown drivers
/// Keys of a device type: "disk", "nic:bridged", "nic:p2p", "none". Without "type". Empty for unknown types.
std::span<const Key> device_keys(std::string_view type);

const Key* find(std::span<const Key> keys, std::string_view name);

/// All keys known and all values valid, with LXD's texts ("Unknown configuration key: %s", …). Control characters are
/// refused in every key and in every value except user.*, cloud-init.* and descriptions (R5, D5).
/// @p profile: volatile.* and keys that only instances have are refused.
void validate_instance(const api::StringMap& config, bool profile);
/// Only the part of validate_instance() that refuses what LXD knows and this server does not apply.
void check_supported(const api::StringMap& config);
/// Only the part of validate_instance() that looks at characters (D5).
void check_text(const api::StringMap& config);
void check_text(const api::Devices& devices);
/// Networks and pools: "Invalid option …", "Invalid value for option …: …" as LXD says it. @p entity goes into the text
/// after "for" (`network "br0"`) and may be empty. @throws Error InvalidArgument; LXD answers 500 to most of these
void validate_options(std::span<const Key> keys, const api::StringMap& config, const std::string& entity);
/// Shape only: type known, keys known, values valid. Whether parents and sources exist is the device's own check.
void validate_devices(const api::Devices& devices);
/// Profiles in order, then the local values: the expanded config or devices of an instance.
api::StringMap expand_config(const api::StringMap& local, const std::vector<const api::StringMap*>& profiles);
api::Devices expand_devices(const api::Devices& local, const std::vector<const api::Devices*>& profiles);

} // namespace lxdcore::config
