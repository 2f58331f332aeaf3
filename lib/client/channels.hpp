// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <lxdcore/operation.hpp>
#include <lxdcore/service/instance_service.hpp>

#include "client/remote_operation.hpp"
#include "client/websocket.hpp"

/// Websockets of an operation as the file descriptors of its user.
namespace lxdcore::client {

Channel control_channel(std::shared_ptr<WebSocket> socket);
/// `fd` is one end of a pair of sockets, the other is moved to and from the websocket.
Channel data_channel(std::shared_ptr<WebSocket> socket);

/// Connects the streams of a command to descriptors of the caller, which are duplicated. The operation ends when all
/// output has been written.
void attach_streams(const std::shared_ptr<Rest>& rest, const std::shared_ptr<RemoteOperation>& operation,
                    const InstanceService::ExecStreams& streams, bool interactive);

} // namespace lxdcore::client
