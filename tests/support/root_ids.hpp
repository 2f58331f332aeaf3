// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace lxdcore::test {

/// The first id that root may map, which newuidmap insists on.
inline std::uint32_t first_root_id() {
    std::ifstream file{"/etc/subuid"};
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("root:")) return static_cast<std::uint32_t>(std::stoul(line.substr(5)));
    return 100000;
}

} // namespace lxdcore::test
