// SPDX-License-Identifier: Apache-2.0
#include "util/fault_point.hpp"

#ifdef LXDCORE_FAULT_POINTS

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace lxdcore {

namespace {

struct Wanted {
    std::string name;
    int times = 1;

    Wanted() {
        const char* text = std::getenv("LXDCORE_FAULT_POINT"); // NOLINT(concurrency-mt-unsafe): read once
        if (text == nullptr) return;
        name = text;
        const auto colon = name.rfind(':');
        const auto number = colon == std::string::npos ? std::string_view{} : std::string_view{name}.substr(colon + 1);
        int value = 0;
        if (std::from_chars(number.data(), number.data() + number.size(), value).ec != std::errc{}) return;
        times = value;
        name.resize(colon);
    }
};

} // namespace

void fault_point(const char* name) {
    static const Wanted wanted;
    static std::atomic<int> seen = 0;
    if (wanted.name == name && ++seen == wanted.times) ::kill(::getpid(), SIGKILL);
}

} // namespace lxdcore

#endif
