// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>

#include "storage/storage_driver.hpp"

namespace lxdcore::storage {

/// A volume of @p from made in @p to as the backend's own stream, with what is nested in it; of a snapshot that has
/// arrived before (@p parent, of @p from) only what differs is sent. Both have send_receive().
/// @throws Error Cancelled, NoSpace; Internal also when the other side does not have the parent
Staged stage_stream(StorageDriver& from, const VolumeId& source, const std::optional<VolumeId>& parent,
                    StorageDriver& to, const VolumeId& as, std::stop_token stop);

} // namespace lxdcore::storage
