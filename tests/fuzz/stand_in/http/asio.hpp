// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Boost's coroutines want a newer clang, and finding a route needs none: only their names.
namespace lxdcore::daemon {

template <class T>
struct Awaitable {};

} // namespace lxdcore::daemon
