// SPDX-License-Identifier: Apache-2.0
#include "network/subnet.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

namespace lxdcore::network {
namespace {

constexpr int kTries = 100;

bool is_free(const IpNetwork& candidate, const std::vector<IpNetwork>& taken) {
    return std::none_of(taken.begin(), taken.end(), [&](const IpNetwork& used) {
        return used.prefix != 0 && used.address.family == candidate.address.family && used.overlaps(candidate);
    });
}

[[noreturn]] void none_found(int version) {
    throw Error{
        ErrorCode::Internal,
        fmt::format("Failed generating auto config: Failed to automatically find an unused IPv{} subnet, manual "
                    "configuration required",
                    version)};
}

} // namespace

IpNetwork choose_ipv4(const std::vector<IpNetwork>& taken, const RandomBytes& random) {
    for (int i = 0; i < kTries; ++i) {
        IpNetwork candidate{.prefix = 24};
        random(candidate.address.bytes.data() + 1, 2);
        candidate.address.bytes[0] = 10;
        candidate.address.bytes[3] = 1;
        if (is_free(candidate, taken)) return candidate;
    }
    none_found(4);
}

IpNetwork choose_ipv6(const std::vector<IpNetwork>& taken, const RandomBytes& random) {
    for (int i = 0; i < kTries; ++i) {
        IpNetwork candidate{.prefix = 64};
        candidate.address.family = AF_INET6;
        candidate.address.bytes[0] = 0xfd;
        candidate.address.bytes[1] = 0x42;
        random(candidate.address.bytes.data() + 2, 6);
        candidate.address.bytes[15] = 1;
        if (is_free(candidate, taken)) return candidate;
    }
    none_found(6);
}

} // namespace lxdcore::network
