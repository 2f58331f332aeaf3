// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

using Json = nlohmann::json;
const std::string kCpus = "sys/devices/system/cpu";
constexpr std::size_t kMaxCpuInfo = 16 << 20;

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

Json caches(const Sysfs& files, const std::string& cpu) {
    auto list = Json::array();
    for (const auto& name : files.list(cpu + "/cache")) {
        if (!name.starts_with("index")) continue;
        const auto cache = cpu + "/cache/" + name;
        list.push_back({{"level", files.number(cache + "/level")},
                        {"type", files.text(cache + "/type")},
                        {"size", size_of(files.text(cache + "/size"))}});
    }
    return list;
}

/// Model and vendor by thread, from /proc/cpuinfo.
std::map<std::int64_t, std::pair<std::string, std::string>> names(const Sysfs& files) {
    std::map<std::int64_t, std::pair<std::string, std::string>> found;
    std::int64_t current = 0;
    for (const auto& line : text::split(files.text("proc/cpuinfo", kMaxCpuInfo), '\n')) {
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

std::int64_t node_of(const Sysfs& files, const std::string& cpu) {
    for (const auto& name : files.list(cpu))
        if (name.starts_with("node"))
            if (const auto node = text::parse_int(name.substr(4))) return *node;
    return 0;
}

struct Socket {
    Json json;
    std::vector<std::pair<std::pair<std::int64_t, std::int64_t>, Json>> cores; ///< by core and die, as found

    Json& core(std::int64_t id, std::int64_t die) {
        for (auto& [place, core] : cores)
            if (place == std::pair{id, die}) return core;
        return cores.emplace_back(std::pair{id, die}, Json{}).second;
    }
};

struct Thread {
    std::int64_t id;
    bool isolated;
    std::pair<std::string, std::string> name; ///< model and vendor
};

void add_thread(const Sysfs& files, std::map<std::int64_t, Socket>& sockets, const Thread& thread) {
    const auto cpu = kCpus + "/cpu" + std::to_string(thread.id);
    const auto topology = cpu + "/topology/";
    const auto socket_id = std::max<std::int64_t>(files.number(topology + "physical_package_id"), 0);
    const auto core_id = files.number(topology + "core_id");
    const auto die_id = std::max<std::int64_t>(files.number(topology + "die_id"), 0);
    auto& socket = sockets[socket_id];
    if (socket.json.is_null()) {
        socket.json = {{"name", thread.name.first},
                       {"vendor", thread.name.second},
                       {"socket", socket_id},
                       {"cache", caches(files, cpu)}};
        const auto low = files.number(cpu + "/cpufreq/cpuinfo_min_freq");
        const auto high = files.number(cpu + "/cpufreq/cpuinfo_max_freq");
        if (low > 0) socket.json["frequency_minimum"] = low / 1000;
        if (high > 0) socket.json["frequency_turbo"] = high / 1000;
    }
    auto& core = socket.core(core_id, die_id);
    if (core.is_null()) {
        core = {{"core", core_id}, {"die", die_id}, {"threads", Json::array()}};
        if (const auto now = files.number(cpu + "/cpufreq/scaling_cur_freq"); now > 0) core["frequency"] = now / 1000;
    }
    core["threads"].push_back({{"id", thread.id},
                               {"numa_node", node_of(files, cpu)},
                               {"thread", core["threads"].size()},
                               {"online", files.number(cpu + "/online", 1) != 0}, // the first has no switch
                               {"isolated", thread.isolated}});
}

/// The cores in their order, and the mean of their frequencies.
Json finish(Socket socket) {
    std::stable_sort(socket.cores.begin(), socket.cores.end(),
                     [](const auto& a, const auto& b) { return a.first.first < b.first.first; });
    std::int64_t sum = 0, known = 0;
    socket.json["cores"] = Json::array();
    for (auto& [place, core] : socket.cores) {
        if (core.contains("frequency")) {
            sum += core["frequency"].get<std::int64_t>();
            ++known;
        }
        socket.json["cores"].push_back(std::move(core));
    }
    if (known > 0) socket.json["frequency"] = sum / known;
    return std::move(socket.json);
}

} // namespace

Json cpu(const Host& host) {
    utsname kernel{};
    ::uname(&kernel);
    const auto& files = host.files;
    const auto isolated = parse_set(files.text(kCpus + "/isolated"));
    auto all_names = names(files);
    std::map<std::int64_t, Socket> sockets;
    std::size_t total = 0;
    for (const auto& name : files.list(kCpus)) {
        const auto id = name.starts_with("cpu") ? text::parse_int(name.substr(3)) : std::nullopt;
        if (!id || !files.exists(kCpus + "/" + name + "/topology")) continue; // one that is off has no place
        add_thread(files, sockets, {*id, isolated.contains(*id), all_names[*id]});
        ++total;
    }
    Json result = {{"architecture", kernel.machine}, {"sockets", Json::array()}, {"total", total}};
    for (auto& [id, socket] : sockets)
        result["sockets"].push_back(finish(std::move(socket)));
    return result;
}

} // namespace lxdcore::resources
