// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace lxdcore {

/// @p when in the local time zone, written as Go's layout shows the reference time ("2006-01-02_15-04-05"). What is no
/// part of that time stays as it is. Reentrant.
std::string go_time(std::chrono::system_clock::time_point when, std::string_view layout);

} // namespace lxdcore
