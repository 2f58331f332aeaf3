// SPDX-License-Identifier: Apache-2.0
#include "network/mac.hpp"

#include <cctype>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lxdcore::network {

bool is_mac(std::string_view text) {
    if (text.size() != 17) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i % 3 == 2 ? text[i] != ':' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) return false;
    }
    return true;
}

std::string random_mac() {
    const std::string hex = text::random_hex(3);
    return fmt::format("00:16:3e:{}:{}:{}", hex.substr(0, 2), hex.substr(2, 2), hex.substr(4, 2));
}

} // namespace lxdcore::network
