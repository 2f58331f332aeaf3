// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "util/fault_config.hpp"

namespace lxdcore {

/// A named moment of a multi-step change at which tests let the process die (SIGKILL, nothing is cleaned up). Only the
/// build with -Dfault_points=true has them: there, the environment variable LXDCORE_FAULT_POINT names the one to die
/// at, as "name" or "name:3" for its third time. Names: "<area>-<action>:<what has just been done>".
#ifdef LXDCORE_FAULT_POINTS
void fault_point(const char* name);
#else
inline void fault_point(const char*) {}
#endif

} // namespace lxdcore
