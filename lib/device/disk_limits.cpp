// SPDX-License-Identifier: Apache-2.0
#include "device/disk_limits.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::device {

namespace {

std::string get(const api::Device& device, const std::string& key) {
    const auto it = device.find(key);
    return it == device.end() ? "" : it->second;
}

void set(const std::string& value, std::int64_t& bps, std::int64_t& iops) {
    constexpr std::string_view kSuffix = "iops";
    if (!value.ends_with(kSuffix)) {
        bps = text::parse_bytes(value);
        return;
    }
    const auto number = std::string_view{value}.substr(0, value.size() - kSuffix.size());
    const auto parsed = text::parse_int(number);
    if (!parsed || *parsed < 0)
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("strconv.ParseInt: parsing {}: invalid syntax", text::quote(number))};
    iops = *parsed;
}

constexpr std::int64_t BlockRate::*kRates[] = {&BlockRate::read_bps, &BlockRate::write_bps, &BlockRate::read_iops,
                                               &BlockRate::write_iops};

} // namespace

bool has_disk_limits(const api::Device& disk) {
    return get(disk, "type") == "disk" &&
           !(get(disk, "limits.read") + get(disk, "limits.write") + get(disk, "limits.max")).empty();
}

BlockRate disk_rate(const api::Device& disk) {
    BlockRate out;
    const auto max = get(disk, "limits.max");
    set(max.empty() ? get(disk, "limits.read") : max, out.read_bps, out.read_iops);
    set(max.empty() ? get(disk, "limits.write") : max, out.write_bps, out.write_iops);
    return out;
}

std::vector<BlockRate> block_rates(const api::Devices& devices,
                                   const std::function<std::optional<std::string>(const api::Device&)>& block_of) {
    std::map<std::string, std::vector<BlockRate>> by_block;
    for (const auto& [name, disk] : devices)
        if (has_disk_limits(disk)) {
            const auto rate = disk_rate(disk);
            if (const auto block = block_of(disk)) by_block[*block].push_back(rate);
        }
    std::vector<BlockRate> out;
    for (const auto& [block, rates] : by_block) {
        BlockRate sum{.device = block};
        for (const auto member : kRates) {
            std::int64_t count = 0;
            for (const auto& rate : rates) {
                if (rate.*member <= 0) continue;
                sum.*member += rate.*member;
                ++count;
            }
            if (count > 0) sum.*member /= count;
        }
        out.push_back(std::move(sum));
    }
    return out;
}

std::vector<BlockRate> changed_rates(const std::vector<BlockRate>& before, const std::vector<BlockRate>& after) {
    std::vector<BlockRate> out;
    for (const auto& old : before)
        if (std::none_of(after.begin(), after.end(), [&](const BlockRate& now) { return now.device == old.device; }))
            out.push_back({.device = old.device});
    out.insert(out.end(), after.begin(), after.end());
    return out;
}

} // namespace lxdcore::device
