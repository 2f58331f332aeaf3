// SPDX-License-Identifier: Apache-2.0
#include "config/volume_keys.hpp"

#include "config/validators.hpp"

namespace lxdcore::config {

std::span<const Key> volume_keys() {
    static constexpr Key table[] = {
        {"security.shifted", "false", check::boolean, false, true},
        {"security.unmapped", "false", check::boolean, false, true},
        {"size", "", check::size, true, true},
        {"snapshots.expiry", "", check::expiry, true, true},
        {"snapshots.pattern", "snap%d", check::any, true, true},
        {"snapshots.schedule", "", check::volume_schedule, true, true},
        {"user.*", "", check::any, true, true},
        {"volatile.idmap.last", "", check::any, false, true},
        {"volatile.idmap.next", "", check::any, false, true},
    };
    return table;
}

const Key* find_volume_key(std::string_view driver, std::string_view name) {
    const auto* key = find(volume_keys(), name);
    return key ? key : find(pool_keys(driver), "volume." + std::string{name});
}

} // namespace lxdcore::config
