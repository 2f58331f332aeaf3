// SPDX-License-Identifier: Apache-2.0
// Names and the small languages of configuration values: patterns and schedules of snapshots, expiry, times, sizes.
#include <algorithm>

#include "config/expiry.hpp"
#include "fuzz/fuzz.hpp"
#include "util/cron.hpp"
#include "util/go_time.hpp"
#include "util/names.hpp"
#include "util/snapshot_name.hpp"
#include "util/text.hpp"

using namespace lxdcore;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto lines = fuzz::lines_of(fuzz::text_of(data, size));
    const auto& first = lines.front();
    const auto now = std::chrono::system_clock::from_time_t(1'700'000'000);
    fuzz::refused_or_done([&] {
        const auto name = next_snapshot_name(first, now, lines);
        check_snapshot_name(name);
        fuzz::require(name.find('/') == std::string::npos && name != "." && name != ".." && !names::has_control(name));
        fuzz::require(std::find(lines.begin(), lines.end(), name) == lines.end());
    });
    fuzz::refused_or_done([&] {
        const auto schedule = Schedule::parse(first, size);
        const auto next = schedule.next(now);
        fuzz::require(!next || (*next > now && schedule.matches(*next)));
    });
    fuzz::refused_or_done([&] {
        const auto from = api::Time::from_unix(1'700'000'000);
        const auto end = config::expiry_of(first, from);
        fuzz::require(!end || *end->at >= *from.at);
    });
    fuzz::refused_or_done([&] { (void)go_time(now, first); });
    fuzz::refused_or_done([&] { (void)text::parse_bytes(first); });
    return 0;
}
