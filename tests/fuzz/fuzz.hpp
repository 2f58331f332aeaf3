// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <lxdcore/error.hpp>

/// What the targets share. A target may throw lxdcore::Error, which is what bad input is answered with; everything else
/// that happens to the process is a finding.
namespace lxdcore::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// A statement that must hold whatever the input.
inline void require(bool holds) {
    if (!holds) std::abort();
}

template <class Work>
void refused_or_done(Work&& work) {
    try {
        work();
    } catch (const Error&) {
    }
}

/// Fields of an input, separated by newlines.
inline std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines{{}};
    for (const char c : text) {
        if (c == '\n')
            lines.emplace_back();
        else
            lines.back() += c;
    }
    return lines;
}

} // namespace lxdcore::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
