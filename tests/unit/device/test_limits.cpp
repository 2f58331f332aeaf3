// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "device/disk_limits.hpp"
#include "device/nic_limits.hpp"
#include "system/block_device.hpp"

using namespace lxdcore;
using namespace lxdcore::device;

namespace {

api::Device disk(api::Device limits) {
    limits["type"] = "disk";
    return limits;
}

template <typename Call>
std::string refusal(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("a disk's rates are bytes or operations per second, and the maximum wins") {
    CHECK(disk_rate(disk({{"limits.read", "10MB"}, {"limits.write", "100iops"}})) ==
          BlockRate{.read_bps = 10000000, .write_iops = 100});
    CHECK(disk_rate(disk({{"limits.read", "5iops"}, {"limits.max", "3MB"}})) ==
          BlockRate{.read_bps = 3000000, .write_bps = 3000000});
    CHECK(disk_rate(disk({{"limits.max", "7iops"}})) == BlockRate{.read_iops = 7, .write_iops = 7});
    CHECK(refusal([] { disk_rate(disk({{"limits.read", "10MB/s"}})); }) == "Invalid value: 10MB/s");
    CHECK(refusal([] {
              disk_rate(disk({{"limits.max", "xiops"}}));
          }) == "strconv.ParseInt: parsing \"x\": invalid syntax");
}

TEST_CASE("disks on one block device get their average") {
    const auto block = [](const api::Device& device) { return device.at("source"); };
    const auto rates = block_rates({{"a", disk({{"source", "8:0"}, {"limits.read", "10MB"}})},
                                    {"b", disk({{"source", "8:0"}, {"limits.read", "30MB"}, {"limits.write", "1MB"}})},
                                    {"c", disk({{"source", "8:16"}, {"limits.max", "9iops"}})},
                                    {"none", disk({{"source", "8:32"}})},
                                    {"nic", {{"type", "nic"}, {"limits.max", "1Mbit"}}}},
                                   block);
    REQUIRE(rates.size() == 2);
    CHECK(rates[0] == BlockRate{.device = "8:0", .read_bps = 20000000, .write_bps = 1000000});
    CHECK(rates[1] == BlockRate{.device = "8:16", .read_iops = 9, .write_iops = 9});
    const auto changed = changed_rates(rates, {{.device = "8:16", .read_bps = 1}});
    REQUIRE(changed.size() == 2);
    CHECK(changed[0] == BlockRate{.device = "8:0"});
    CHECK(changed[1] == BlockRate{.device = "8:16", .read_bps = 1});
}

TEST_CASE("rates of NICs are bits with LXD's units") {
    CHECK(parse_bits("1000") == 1000);
    CHECK(parse_bits("10Mbit") == 10'000'000);
    CHECK(parse_bits("10Mibit") == 10'485'760);
    CHECK(parse_bits("2kbit") == 2000);
    CHECK(parse_bits("") == 0);
    for (const auto& [text, error] :
         std::vector<std::pair<std::string, std::string>>{{"abc", "Invalid value: abc"},
                                                          {"-5Mbit", "Invalid value: -5Mbit"},
                                                          {"10MB", "Unsupported suffix: MB"},
                                                          {"1.5Mbit", "Unsupported suffix: .5Mbit"},
                                                          {"10mbit", "Unsupported suffix: mbit"},
                                                          {"99999999999Ebit", "Invalid value: 99999999999Ebit"},
                                                          {"0", "Invalid value: 0"}})
        CHECK(refusal([text = text] { parse_bits(text); }) == error);
    const auto rate = nic_rate({{"limits.ingress", "1Mbit"}, {"limits.max", "2Mbit"}});
    CHECK(rate.ingress == 2'000'000);
    CHECK(rate.egress == 2'000'000);
    CHECK(!nic_rate({}).any());
}

TEST_CASE("a path without a disk behind it has no block device") {
    CHECK(!block_device_of("/proc"));
    CHECK(!block_device_of("/sys/kernel"));
    CHECK_THROWS_AS(block_device_of("/nosuch/path"), Error);
}
