// SPDX-License-Identifier: Apache-2.0
#include "instance/metrics.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace lxdcore::instance {

namespace {

struct Description {
    const char *name, *type, *help;
};

constexpr std::array<Description, static_cast<std::size_t>(Metric::Count)> kDescriptions{{
    {"cpu_seconds_total", "counter", "The total number of CPU time used in seconds."},
    {"disk_read_bytes_total", "counter", "The total number of bytes read."},
    {"disk_reads_completed_total", "counter", "The total number of completed reads."},
    {"disk_written_bytes_total", "counter", "The total number of bytes written."},
    {"disk_writes_completed_total", "counter", "The total number of completed writes."},
    {"filesystem_avail_bytes", "gauge", "The number of available space in bytes."},
    {"filesystem_free_bytes", "gauge", "The number of free space in bytes."},
    {"filesystem_size_bytes", "gauge", "The size of the filesystem in bytes."},
    {"memory_Active_anon_bytes", "gauge", "The amount of anonymous memory on active LRU list."},
    {"memory_Active_file_bytes", "gauge", "The amount of file-backed memory on active LRU list."},
    {"memory_Active_bytes", "gauge", "The amount of memory on active LRU list."},
    {"memory_Cached_bytes", "gauge", "The amount of cached memory."},
    {"memory_Dirty_bytes", "gauge", "The amount of memory waiting to get written back to the disk."},
    {"memory_Inactive_anon_bytes", "gauge", "The amount of file-backed memory on inactive LRU list."},
    {"memory_Inactive_file_bytes", "gauge", "The amount of file-backed memory on inactive LRU list."},
    {"memory_Inactive_bytes", "gauge", "The amount of memory on inactive LRU list."},
    {"memory_Mapped_bytes", "gauge", "The amount of mapped memory."},
    {"memory_MemAvailable_bytes", "gauge", "The amount of available memory."},
    {"memory_MemFree_bytes", "gauge", "The amount of free memory."},
    {"memory_MemTotal_bytes", "gauge", "The amount of used memory."},
    {"memory_RSS_bytes", "gauge", "The amount of anonymous and swap cache memory."},
    {"memory_Shmem_bytes", "gauge", "The amount of cached filesystem data that is swap-backed."},
    {"memory_Swap_bytes", "gauge", "The amount of used swap memory."},
    {"memory_Unevictable_bytes", "gauge", "The amount of unevictable memory."},
    {"memory_Writeback_bytes", "gauge", "The amount of memory queued for syncing to disk."},
    {"network_receive_bytes_total", "counter", "The amount of received bytes on a given interface."},
    {"network_receive_drop_total", "counter", "The amount of received dropped bytes on a given interface."},
    {"network_receive_errs_total", "counter", "The amount of received errors on a given interface."},
    {"network_receive_packets_total", "counter", "The amount of received packets on a given interface."},
    {"network_transmit_bytes_total", "counter", "The amount of transmitted bytes on a given interface."},
    {"network_transmit_drop_total", "counter", "The amount of transmitted dropped bytes on a given interface."},
    {"network_transmit_errs_total", "counter", "The amount of transmitted errors on a given interface."},
    {"network_transmit_packets_total", "counter", "The amount of transmitted packets on a given interface."},
    {"procs_total", "gauge", "The number of running processes."},
}};

/// The shortest text, in the form that LXD's figures have: with an exponent from a million on.
void append_number(std::string& out, double value) {
    constexpr double kSmall = 1e-4, kLarge = 1e6;
    const double size = std::fabs(value);
    const bool plain = value == 0 || (size >= kSmall && size < kLarge);
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   plain ? std::chars_format::fixed : std::chars_format::scientific);
    out.append(buffer.data(), end.ptr);
}

void append_escaped(std::string& out, const std::string& value) {
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
}

} // namespace

void MetricSet::add(Metric metric, Labels labels, double value) {
    samples_[static_cast<std::size_t>(metric)].push_back({std::move(labels), value});
}

void MetricSet::add(const MetricSet& other) {
    for (std::size_t i = 0; i < samples_.size(); ++i)
        samples_[i].insert(samples_[i].end(), other.samples_[i].begin(), other.samples_[i].end());
}

std::string MetricSet::text() const {
    std::string out;
    for (std::size_t i = 0; i < samples_.size(); ++i) {
        if (samples_[i].empty()) continue;
        const auto& [name, type, help] = kDescriptions[i];
        out += fmt::format("# HELP lxd_{0} {1}\n# TYPE lxd_{0} {2}\n", name, help, type);
        for (const auto& sample : samples_[i]) {
            out.append("lxd_").append(name);
            char before = '{';
            for (const auto& [label, value] : sample.labels) {
                out.append(1, before).append(label).append("=\"");
                append_escaped(out, value);
                out += '"';
                before = ',';
            }
            out += "} ";
            append_number(out, sample.value);
            out += '\n';
        }
    }
    return out + "# EOF\n";
}

} // namespace lxdcore::instance
