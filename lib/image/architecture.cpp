// SPDX-License-Identifier: Apache-2.0
#include "image/architecture.hpp"

#include <utility>

namespace lxdcore::image {

namespace {

/// Names first, in the order of the numbers; then other names for them.
constexpr std::pair<std::string_view, int> kNames[] = {{"i686", 1},       {"x86_64", 2},
                                                       {"armv7l", 3},     {"aarch64", 4},
                                                       {"ppc", 5},        {"ppc64", 6},
                                                       {"ppc64le", 7},    {"s390x", 8},
                                                       {"mips", 9},       {"mips64", 10},
                                                       {"riscv32", 11},   {"riscv64", 12},
                                                       {"i386", 1},       {"i586", 1},
                                                       {"386", 1},        {"x86", 1},
                                                       {"generic_32", 1}, {"amd64", 2},
                                                       {"generic_64", 2}, {"armel", 3},
                                                       {"armhf", 3},      {"arm", 3},
                                                       {"armhfp", 3},     {"armv7a_hardfp", 3},
                                                       {"armv7", 3},      {"armv7a_vfpv3_hardfp", 3},
                                                       {"arm64", 4},      {"arm64_generic", 4},
                                                       {"powerpc", 5},    {"powerpc64", 6},
                                                       {"ppc64el", 7},    {"rv32", 11},
                                                       {"rv64", 12}};

} // namespace

std::optional<int> architecture_id(std::string_view name) {
    for (const auto& [known, id] : kNames)
        if (known == name) return id;
    return std::nullopt;
}

std::string architecture_name(int id) {
    for (const auto& [known, number] : kNames)
        if (number == id) return std::string{known};
    return {};
}

} // namespace lxdcore::image
