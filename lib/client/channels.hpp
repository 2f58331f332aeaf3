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

/// A connection that speaks @p protocol (an HTTP upgrade): the client's end of a stream socket, which ends with its
/// last owner.
std::shared_ptr<const int> upgraded_socket(std::shared_ptr<Http> http, const std::string& target,
                                           const std::string& protocol);

/// Connects the streams of a command to descriptors of the caller, which are duplicated. The operation ends when all
/// output has been written.
void attach_streams(const std::shared_ptr<Rest>& rest, const std::shared_ptr<RemoteOperation>& operation,
                    const InstanceService::ExecStreams& streams, bool interactive);

} // namespace lxdcore::client
