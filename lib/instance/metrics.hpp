// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lxdcore::instance {

/// LXD's metrics of instances, in the order in which they are written.
enum class Metric {
    CpuSeconds,
    DiskReadBytes,
    DiskReads,
    DiskWrittenBytes,
    DiskWrites,
    FilesystemAvailable,
    FilesystemFree,
    FilesystemSize,
    MemoryActiveAnon,
    MemoryActiveFile,
    MemoryActive,
    MemoryCached,
    MemoryDirty,
    MemoryInactiveAnon,
    MemoryInactiveFile,
    MemoryInactive,
    MemoryMapped,
    MemoryAvailable,
    MemoryFree,
    MemoryTotal,
    MemoryRss,
    MemoryShmem,
    MemorySwap,
    MemoryUnevictable,
    MemoryWriteback,
    NetworkReceiveBytes,
    NetworkReceiveDrop,
    NetworkReceiveErrors,
    NetworkReceivePackets,
    NetworkTransmitBytes,
    NetworkTransmitDrop,
    NetworkTransmitErrors,
    NetworkTransmitPackets,
    Processes,
    Count,
};

/// Figures of many instances, and their OpenMetrics text. A value; reentrant.
class MetricSet {
public:
    using Labels = std::map<std::string, std::string>;
    void add(Metric metric, Labels labels, double value);
    void add(const MetricSet& other);
    /// Each metric that has figures with its HELP and TYPE, then the end mark.
    std::string text() const;

private:
    struct Sample {
        Labels labels;
        double value = 0;
    };
    std::array<std::vector<Sample>, static_cast<std::size_t>(Metric::Count)> samples_;
};

/// By project: what was found, and when.
struct CachedMetrics {
    std::chrono::steady_clock::time_point made;
    MetricSet set;
};
using MetricsCache = std::map<std::string, CachedMetrics>;

} // namespace lxdcore::instance
