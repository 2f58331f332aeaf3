// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/export.hpp>

namespace lxdcore {

/// Figures about running instances for Prometheus. Thread-safe.
class LXDCORE_API MetricsService {
public:
    virtual ~MetricsService();
    /// OpenMetrics text with LXD's names for the instances of @p projects. Some seconds old at most; what cannot be
    /// read of an instance is left out.
    virtual std::string metrics(const std::vector<std::string>& projects) = 0;
};

} // namespace lxdcore
