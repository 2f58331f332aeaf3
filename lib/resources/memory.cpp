// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;

/// Bytes of "MemTotal:  123 kB", also where the line begins with "Node 0 ".
std::int64_t field(const std::string& meminfo, const std::string& name) {
    for (const auto& line : text::split(meminfo, '\n')) {
        const auto at = line.find(name + ":");
        if (at == std::string::npos || (at > 0 && line[at - 1] != ' ')) continue;
        const auto value = text::trim(line.substr(at + name.size() + 1));
        const auto digits = text::parse_int(value.substr(0, value.find(' '))).value_or(0);
        return value.ends_with("kB") ? digits * 1024 : digits;
    }
    return 0;
}

/// The kernel hides some memory from MemTotal; the blocks that can be switched tell what is really there.
std::int64_t block_total(const Sysfs& files, const std::string& folder) {
    std::int64_t size = 0;
    for (const char c : files.text("sys/devices/system/memory/block_size_bytes")) {
        const auto digit = c >= 'a' ? c - 'a' + 10 : c - '0';
        if (digit < 0 || digit > 15 || size > (1LL << 50)) return 0;
        size = size * 16 + digit;
    }
    std::int64_t blocks = 0;
    for (const auto& name : files.list(folder))
        if (name.starts_with("memory") && files.text(folder + "/" + name + "/online") == "1") ++blocks;
    return blocks > 8'000'000 ? 0 : blocks * size;
}

} // namespace

Json memory(const Host& host) {
    const auto& files = host.files;
    const auto info = files.text("proc/meminfo");
    const auto page = field(info, "Hugepagesize");
    const auto total = std::max(field(info, "MemTotal"), block_total(files, "sys/devices/system/memory"));
    const auto unused = field(info, "MemFree") + field(info, "Buffers") + field(info, "Cached");
    Json result = {{"hugepages_total", field(info, "HugePages_Total") * page},
                   {"hugepages_used", (field(info, "HugePages_Total") - field(info, "HugePages_Free")) * page},
                   {"hugepages_size", page},
                   {"used", total - unused},
                   {"total", total},
                   {"nodes", Json::array()}};
    for (const auto& name : files.list("sys/devices/system/node")) {
        if (!name.starts_with("node")) continue;
        const auto id = text::parse_int(name.substr(4));
        if (!id) continue;
        const auto folder = "sys/devices/system/node/" + name;
        const auto node = files.text(folder + "/meminfo");
        result["nodes"].push_back(
            {{"numa_node", *id},
             {"hugepages_total", field(node, "HugePages_Total") * page},
             {"hugepages_used", (field(node, "HugePages_Total") - field(node, "HugePages_Free")) * page},
             {"used", field(node, "MemUsed")},
             {"total", std::max(field(node, "MemTotal"), block_total(files, folder))}});
    }
    return result;
}

} // namespace lxdcore::resources
