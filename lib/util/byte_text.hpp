// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace lxdcore {

/// Bytes as valid UTF-8 for JSON between our own processes: every byte becomes the code point of its number. File names
/// and arguments of a guest need not be UTF-8.
inline std::string bytes_to_text(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (const unsigned char byte : bytes) {
        if (byte < 0x80) {
            text.push_back(static_cast<char>(byte));
        } else {
            text.push_back(static_cast<char>(0xc0 | (byte >> 6)));
            text.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
        }
    }
    return text;
}

/// The way back. @throws std::invalid_argument for text that bytes_to_text does not make
inline std::string bytes_from_text(std::string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80) {
            bytes.push_back(text[i]);
            continue;
        }
        const auto tail = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0u;
        if ((lead != 0xc2 && lead != 0xc3) || (tail & 0xc0u) != 0x80u) throw std::invalid_argument{"not a byte string"};
        bytes.push_back(static_cast<char>(((lead & 0x03u) << 6) | (tail & 0x3fu)));
        ++i;
    }
    return bytes;
}

} // namespace lxdcore
