// SPDX-License-Identifier: Apache-2.0
#include "operation/progress.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace lxdcore {

namespace {
constexpr std::chrono::milliseconds kBetween{500};
} // namespace

std::string progress_size(double bytes) {
    constexpr std::array units{"B", "kB", "MB", "GB", "TB"};
    std::size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < units.size()) {
        bytes /= 1000;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f}B", bytes) : fmt::format("{:.2f}{}", bytes, units[unit]);
}

Progress::Progress(OperationContext& op, std::string stage, std::string prefix, std::int64_t total)
    : op_{op}, stage_{std::move(stage)}, prefix_{std::move(prefix)}, total_{total} {}

void Progress::at(std::int64_t bytes) {
    bytes_ = bytes;
    const auto now = Clock::now();
    if (now - said_ < kBetween) return;
    const auto percent = total_ > 0 ? std::min<std::int64_t>(bytes * 100 / total_, 100) : 0;
    if (total_ > 0 && percent <= percent_) return;
    said_ = now;
    say(percent);
}

void Progress::finish() {
    if (total_ > 0) bytes_ = std::max(bytes_, total_);
    say(total_ > 0 ? 100 : 0);
}

void Progress::say(std::int64_t percent) {
    percent_ = percent;
    const std::chrono::duration<double> spent = Clock::now() - begun_;
    const auto speed = static_cast<double>(bytes_) / std::max(spent.count(), 0.001);
    const auto done = percent > 0 ? fmt::format("{}%", percent) : progress_size(static_cast<double>(bytes_));
    nlohmann::json numbers{{"stage", stage_}, {"speed", fmt::format("{:.0f}", speed)}};
    if (percent > 0)
        numbers["percent"] = std::to_string(percent);
    else
        numbers["processed"] = std::to_string(bytes_);
    op_.update_metadata({{stage_ + "_progress", fmt::format("{}: {} ({}/s)", prefix_, done, progress_size(speed))},
                         {"progress", std::move(numbers)}});
}

} // namespace lxdcore
