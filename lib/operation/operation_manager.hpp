// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>

#include "util/reactor.hpp"
#include "util/worker_pool.hpp"

namespace lxdcore {

/// Makes the operation service; references must outlive it.
std::unique_ptr<OperationService> make_operation_service(EventService& events, WorkerPool& pool, Reactor& reactor,
                                                         const Logger& log);

} // namespace lxdcore
