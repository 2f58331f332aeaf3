// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "http/io_threads.hpp"

namespace lxdcore::daemon {

/// Accepts on @p fd (taken over, listening) until the returned handle goes; each connection is handed to @p accepted on
/// the I/O thread that will serve it. Out of descriptors it waits instead of spinning.
std::shared_ptr<void> accept_loop(IoThreads& threads, int fd, int family,
                                  std::function<void(IoThread& thread, Socket socket)> accepted);

} // namespace lxdcore::daemon
