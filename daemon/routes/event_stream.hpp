// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include <lxdcore/event.hpp>

#include "http/exchange.hpp"

namespace lxdcore::daemon {

/// Subscribes the function that it is given; called once.
using Subscribe = std::function<std::unique_ptr<EventSubscription>(std::function<void(const Event&)>)>;

/// Upgrades to a websocket and sends the json of every event until the client goes, is too slow to keep up, or an event
/// without json says that there will be no more.
Awaitable<Response> stream_events(Exchange& exchange, Subscribe subscribe);

} // namespace lxdcore::daemon
