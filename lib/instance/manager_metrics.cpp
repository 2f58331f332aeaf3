// SPDX-License-Identifier: Apache-2.0
#include <sys/statfs.h>

#include <functional>

#include <fmt/format.h>

#include "instance/manager.hpp"
#include "system/netns_state.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kFresh{8};
constexpr double kNanosecond = 1e-9, kMicrosecond = 1e-6;

using Labels = MetricSet::Labels;
using Table = std::map<std::string, double>;

Labels with(Labels labels, const std::string& key, const std::string& value) {
    labels[key] = value;
    return labels;
}

double number(const std::string& text) { return static_cast<double>(text::parse_int(text).value_or(0)); }

/// "key value" lines.
Table table_of(const std::optional<std::string>& content) {
    Table out;
    if (!content) return out;
    for (const auto& line : text::split(*content, '\n')) {
        const auto fields = text::split(line, ' ');
        if (fields.size() == 2) out[fields[0]] = number(fields[1]);
    }
    return out;
}

void add_cpu(const Cgroup& cgroup, bool unified, const Labels& labels, MetricSet& out) {
    const auto add = [&](const std::string& cpu, const char* mode, double seconds) {
        out.add(Metric::CpuSeconds, with(with(labels, "cpu", cpu), "mode", mode), seconds);
    };
    if (unified) {
        const auto stat = table_of(cgroup.read("cpu", "cpu.stat"));
        for (const auto& [key, mode] : {std::pair{"system_usec", "system"}, std::pair{"user_usec", "user"}})
            if (const auto it = stat.find(key); it != stat.end()) add("0", mode, it->second * kMicrosecond);
        return;
    }
    const auto all = cgroup.read("cpuacct", "cpuacct.usage_all");
    if (!all) return;
    for (const auto& line : text::split(*all, '\n')) { // "cpu user system", a header first
        const auto fields = text::split(line, ' ');
        if (fields.size() != 3 || fields[0] == "cpu") continue;
        add(fields[0], "system", number(fields[2]) * kNanosecond);
        add(fields[0], "user", number(fields[1]) * kNanosecond);
    }
}

/// "8:0" to "sda", of all disks of the host.
std::map<std::string, std::string> disk_names() {
    std::map<std::string, std::string> out;
    for (const auto& line : text::split(Dir::open("/proc").read("partitions"), '\n')) {
        std::vector<std::string> fields;
        for (auto& field : text::split(line, ' '))
            if (!field.empty()) fields.push_back(std::move(field));
        if (fields.size() == 4 && fields[0] != "major") out[fields[0] + ":" + fields[1]] = fields[3];
    }
    return out;
}

struct DiskCounters {
    double read_bytes = 0, reads = 0, written_bytes = 0, writes = 0;
};

/// v1: "8:0 Read 4096" lines.
void read_blkio(const std::optional<std::string>& content, std::map<std::string, DiskCounters>& out,
                double DiskCounters::*read, double DiskCounters::*write) {
    if (!content) return;
    for (const auto& line : text::split(*content, '\n')) {
        const auto fields = text::split(line, ' ');
        if (fields.size() != 3) continue;
        if (fields[1] == "Read") out[fields[0]].*read = number(fields[2]);
        if (fields[1] == "Write") out[fields[0]].*write = number(fields[2]);
    }
}

/// v2: "8:0 rbytes=… wbytes=… rios=… wios=…" lines.
void read_io_stat(const std::optional<std::string>& content, std::map<std::string, DiskCounters>& out) {
    if (!content) return;
    for (const auto& line : text::split(*content, '\n')) {
        const auto fields = text::split(line, ' ');
        for (std::size_t i = 1; i < fields.size(); ++i) {
            const auto cut = fields[i].find('=');
            if (cut == std::string::npos) continue;
            const auto key = fields[i].substr(0, cut);
            const auto value = number(fields[i].substr(cut + 1));
            auto& disk = out[fields[0]];
            if (key == "rbytes") disk.read_bytes = value;
            if (key == "wbytes") disk.written_bytes = value;
            if (key == "rios") disk.reads = value;
            if (key == "wios") disk.writes = value;
        }
    }
}

void add_disks(const Cgroup& cgroup, bool unified, const std::map<std::string, std::string>& names,
               const Labels& labels, MetricSet& out) {
    std::map<std::string, DiskCounters> disks;
    if (unified) {
        read_io_stat(cgroup.read("io", "io.stat"), disks);
    } else {
        read_blkio(cgroup.read("blkio", "blkio.throttle.io_service_bytes_recursive"), disks, &DiskCounters::read_bytes,
                   &DiskCounters::written_bytes);
        read_blkio(cgroup.read("blkio", "blkio.throttle.io_serviced_recursive"), disks, &DiskCounters::reads,
                   &DiskCounters::writes);
    }
    for (const auto& [number, disk] : disks) {
        const auto name = names.find(number);
        if (name == names.end()) continue;
        const auto own = with(labels, "device", name->second);
        out.add(Metric::DiskReadBytes, own, disk.read_bytes);
        out.add(Metric::DiskReads, own, disk.reads);
        out.add(Metric::DiskWrittenBytes, own, disk.written_bytes);
        out.add(Metric::DiskWrites, own, disk.writes);
    }
}

void add_memory(const Cgroup& cgroup, bool unified, std::int64_t host_memory, const Labels& labels, MetricSet& out) {
    const auto usage = cgroup.usage();
    const auto stat = table_of(cgroup.read("memory", "memory.stat"));
    const auto get = [&](const char* v1, const char* v2) {
        const auto it = stat.find(unified ? v2 : fmt::format("total_{}", v1));
        return it == stat.end() ? 0.0 : it->second;
    };
    const auto same = [&](const char* name) { return get(name, name); };
    const double total = static_cast<double>(usage.memory_limit > 0 ? usage.memory_limit : host_memory);
    const double free = total - static_cast<double>(usage.memory), cached = get("cache", "file");
    const std::pair<Metric, double> values[]{
        {Metric::MemoryActiveAnon, same("active_anon")},
        {Metric::MemoryActiveFile, same("active_file")},
        {Metric::MemoryActive, same("active_anon") + same("active_file")},
        {Metric::MemoryCached, cached},
        {Metric::MemoryDirty, get("dirty", "file_dirty")},
        {Metric::MemoryInactiveAnon, same("inactive_anon")},
        {Metric::MemoryInactiveFile, same("inactive_file")},
        {Metric::MemoryInactive, same("inactive_anon") + same("inactive_file")},
        {Metric::MemoryMapped, get("mapped_file", "file_mapped")},
        {Metric::MemoryAvailable, free + cached},
        {Metric::MemoryFree, free},
        {Metric::MemoryTotal, total},
        {Metric::MemoryRss, get("rss", "anon")},
        {Metric::MemoryShmem, same("shmem")},
        {Metric::MemorySwap, static_cast<double>(usage.swap)},
        {Metric::MemoryUnevictable, same("unevictable")},
        {Metric::MemoryWriteback, get("writeback", "file_writeback")},
        {Metric::Processes, static_cast<double>(usage.processes)},
    };
    for (const auto& [metric, value] : values)
        out.add(metric, labels, value);
}

void add_network(int pid, const Labels& labels, MetricSet& out) {
    for (const auto& link : netns_interfaces(pid)) {
        const auto own = with(labels, "device", link.name);
        const auto add = [&](Metric metric, std::int64_t value) { out.add(metric, own, static_cast<double>(value)); };
        add(Metric::NetworkReceiveBytes, link.rx_bytes);
        add(Metric::NetworkReceiveDrop, link.rx_dropped);
        add(Metric::NetworkReceiveErrors, link.rx_errors);
        add(Metric::NetworkReceivePackets, link.rx_packets);
        add(Metric::NetworkTransmitBytes, link.tx_bytes);
        add(Metric::NetworkTransmitDrop, link.tx_dropped);
        add(Metric::NetworkTransmitErrors, link.tx_errors);
        add(Metric::NetworkTransmitPackets, link.tx_packets);
    }
}

std::string filesystem_name(std::uint64_t magic) {
    switch (magic) {
    case 0xef53:
        return "ext4";
    case 0x9123683e:
        return "btrfs";
    case 0x58465342:
        return "xfs";
    case 0x2fc12fc1:
        return "zfs";
    case 0x01021994:
        return "tmpfs";
    case 0x6969:
        return "nfs";
    case 0x794c7630:
        return "overlay";
    default:
        return fmt::format("0x{:x}", magic);
    }
}

void add_filesystem(const std::string& path, const std::string& source, const std::string& mountpoint,
                    const Labels& labels, MetricSet& out) {
    struct statfs info {};
    if (::statfs(path.c_str(), &info) != 0) return; // a disk that is away hides nothing else
    auto own = labels;
    own.erase("type");
    own["device"] = source;
    own["fstype"] = filesystem_name(static_cast<std::uint64_t>(info.f_type));
    own["mountpoint"] = mountpoint;
    const auto block = static_cast<double>(info.f_bsize);
    out.add(Metric::FilesystemAvailable, own, static_cast<double>(info.f_bavail) * block);
    out.add(Metric::FilesystemFree, own, static_cast<double>(info.f_bfree) * block);
    out.add(Metric::FilesystemSize, own, static_cast<double>(info.f_blocks) * block);
}

std::string value_of(const api::Device& device, const char* key) {
    const auto it = device.find(key);
    return it == device.end() ? std::string{} : it->second;
}

} // namespace

void Manager::measure_running(const Loaded& instance, const Running& running, const DiskNames& disks,
                              MetricSet& out) const {
    const auto ref = instance.ref();
    const Labels labels{{"name", ref.name}, {"project", ref.project}, {"type", "container"}};
    const Cgroup cgroup{cgroups_, running.cgroup};
    const std::function<void()> parts[]{
        [&] { add_cpu(cgroup, cgroups_.unified("cpu"), labels, out); },
        [&] { add_disks(cgroup, cgroups_.unified("io"), disks, labels, out); },
        [&] {
            for (const auto& [name, device] : instance.devices) {
                const auto source = value_of(device, "source"), path = value_of(device, "path");
                if (value_of(device, "type") != "disk" || path.empty()) continue;
                if (path == "/" && source.empty())
                    add_filesystem(s_.storage.instance_path(ref.project, ref.name), "", path, labels, out);
                else if (source.starts_with('/'))
                    add_filesystem(source, source, path, labels, out);
            }
        },
        [&] { add_memory(cgroup, cgroups_.unified("memory"), host_.memory, labels, out); },
        [&] { add_network(running.init_pid, labels, out); }};
    for (const auto& part : parts) {
        try {
            part();
        } catch (const Error& error) { // it may end while we look
            s_.log.debug("No metrics", {{"instance", ref.name}, {"err", error.what()}});
        }
    }
}

MetricSet Manager::measure(const std::string& project) const {
    MetricSet out;
    std::vector<db::InstanceRow> rows; // of those that run: of many instances these may be few
    std::vector<db::ProfileRow> profiles;
    s_.global.read([&](db::Transaction& tx) {
        for (const auto& name : repo_.names(tx, project)) {
            if (!runtime_.find({project, name})) continue;
            if (auto row = repo_.find(tx, project, name)) rows.push_back(std::move(*row));
        }
        if (!rows.empty()) profiles = repo_.profiles(tx, project);
    });
    const Expander expander{std::move(profiles)};
    const auto disks = disk_names();
    for (auto& row : rows) {
        const InstanceRef ref{row.project, row.name};
        if (const auto running = runtime_.find(ref))
            measure_running(expander.expand(std::move(row)), *running, disks, out);
    }
    return out;
}

std::string Manager::metrics(const std::vector<std::string>& projects) {
    MetricSet all;
    // One at a time: who asks meanwhile gets what this one found.
    const auto cache = metrics_.lock();
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(*cache, [&](const auto& entry) { return now - entry.second.made >= kFresh; });
    for (const auto& project : projects) {
        auto it = cache->find(project);
        if (it == cache->end()) it = cache->emplace(project, CachedMetrics{now, measure(project)}).first;
        all.add(it->second.set);
    }
    return all.text();
}

} // namespace lxdcore::instance

namespace lxdcore {

MetricsService::~MetricsService() = default;

} // namespace lxdcore
