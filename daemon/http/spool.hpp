// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "http/exchange.hpp"

namespace lxdcore::daemon {

/// Reads a whole body into a nameless file below @p dir, so that a client that vanishes half-way has changed nothing;
/// the returned descriptor stands at the start.
Awaitable<std::shared_ptr<int>> spool_body(Exchange& exchange, const std::filesystem::path& dir);

} // namespace lxdcore::daemon
