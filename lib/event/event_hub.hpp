// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <lxdcore/event.hpp>

namespace lxdcore {

std::unique_ptr<EventService> make_event_service();

} // namespace lxdcore
