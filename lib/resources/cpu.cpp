// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "resources/sysfs.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;

/// "0-2,5" as a set.
std::set<std::int64_t> parse_set(const std::string& text) {
    std::set<std::int64_t> ids;
    for (const auto& part : text::split(text, ',')) {
        const auto dash = part.find('-');
        const auto low = text::parse_int(part.substr(0, dash));
        const auto high = dash == std::string::npos ? low : text::parse_int(part.substr(dash + 1));
        if (!low || !high || *low < 0 || *high > 8192) continue;
        for (auto id = *low; id <= *high; ++id)
            ids.insert(id);
    }
    return ids;
}

std::int64_t size_of(const std::string& text) {
    if (text.empty()) return 0;
    const auto number = text::parse_int(text.substr(0, text.find_first_not_of("0123456789"))).value_or(0);
    return text.back() == 'K' ? number << 10 : text.back() == 'M' ? number << 20 : number;
}

Json caches(const std::string& cpu) {
    auto list = Json::array();
    for (const auto& name : Sysfs::list(cpu + "/cache")) {
        if (!name.starts_with("index")) continue;
        const auto cache = cpu + "/cache/" + name;
        list.push_back({{"level", Sysfs::number(cache + "/level")},
                        {"type", Sysfs::text(cache + "/type")},
                        {"size", size_of(Sysfs::text(cache + "/size"))}});
    }
    return list;
}

/// Model and vendor by thread, from /proc/cpuinfo.
std::map<std::int64_t, std::pair<std::string, std::string>> names() {
    std::map<std::int64_t, std::pair<std::string, std::string>> found;
    std::int64_t current = 0;
    for (const auto& line : text::split(Sysfs::text("proc/cpuinfo"), '\n')) {
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        const auto key = text::trim(line.substr(0, colon));
        const auto value = text::trim(line.substr(colon + 1));
        if (key == "processor") current = text::parse_int(value).value_or(0);
        if (key == "model name") found[current].first = value;
        if (key == "vendor_id") found[current].second = value;
    }
    return found;
}

std::int64_t node_of(const std::string& cpu) {
    for (const auto& name : Sysfs::list(cpu))
        if (name.starts_with("node"))
            if (const auto node = text::parse_int(name.substr(4))) return *node;
    return 0;
}

struct Socket {
    Json json;
    std::map<std::pair<std::int64_t, std::int64_t>, Json> cores; ///< by die and core
};

void add_thread(std::map<std::int64_t, Socket>& sockets, std::int64_t id, bool online, bool isolated,
                const std::pair<std::string, std::string>& name) {
    const auto cpu = "sys/devices/system/cpu/cpu" + std::to_string(id);
    const auto topology = cpu + "/topology/";
    const auto socket_id = std::max<std::int64_t>(Sysfs::number(topology + "physical_package_id"), 0);
    const auto core_id = Sysfs::number(topology + "core_id");
    const auto die_id = std::max<std::int64_t>(Sysfs::number(topology + "die_id"), 0);
    auto& socket = sockets[socket_id];
    if (socket.json.is_null()) {
        socket.json = {{"name", name.first}, {"vendor", name.second}, {"socket", socket_id}, {"cache", caches(cpu)}};
        const auto low = Sysfs::number(cpu + "/cpufreq/cpuinfo_min_freq");
        const auto high = Sysfs::number(cpu + "/cpufreq/cpuinfo_max_freq");
        if (low > 0) socket.json["frequency_minimum"] = low / 1000;
        if (high > 0) socket.json["frequency_turbo"] = high / 1000;
    }
    auto& core = socket.cores[{die_id, core_id}];
    if (core.is_null()) {
        core = {{"core", core_id}, {"die", die_id}, {"threads", Json::array()}};
        if (const auto now = Sysfs::number(cpu + "/cpufreq/scaling_cur_freq"); now > 0) core["frequency"] = now / 1000;
    }
    core["threads"].push_back({{"id", id},
                               {"numa_node", node_of(cpu)},
                               {"thread", core["threads"].size()},
                               {"online", online},
                               {"isolated", isolated}});
}

} // namespace

Json cpu() {
    utsname kernel{};
    ::uname(&kernel);
    const auto online = parse_set(Sysfs::text("sys/devices/system/cpu/online"));
    const auto isolated = parse_set(Sysfs::text("sys/devices/system/cpu/isolated"));
    const auto present = parse_set(Sysfs::text("sys/devices/system/cpu/present"));
    auto all_names = names();
    std::map<std::int64_t, Socket> sockets;
    for (const auto id : present)
        add_thread(sockets, id, online.contains(id), isolated.contains(id), all_names[id]);
    Json result = {{"architecture", kernel.machine}, {"sockets", Json::array()}, {"total", present.size()}};
    for (auto& [id, socket] : sockets) {
        socket.json["cores"] = Json::array();
        for (auto& [place, core] : socket.cores)
            socket.json["cores"].push_back(std::move(core));
        result["sockets"].push_back(std::move(socket.json));
    }
    return result;
}

} // namespace lxdcore::resources
