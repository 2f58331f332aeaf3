// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "storage/tools/host.hpp"
#include "storage/tools/tools.hpp"

/// Filesystems on block devices: ext4, xfs, btrfs. Reentrant; all throw Error.
namespace lxdcore::storage::filesystem {

constexpr const char* kDefault = "ext4";
constexpr std::int64_t kDefaultSize = std::int64_t{10} << 30; ///< of a volume that nobody gave one
constexpr const char* kDefaultOptions = "discard";

/// What is recorded of a volume that is one ("block.filesystem", "block.mount_options").
void complete(std::map<std::string, std::string>& config, bool block);
/// @throws InvalidArgument unless it is one of the three
const std::string& checked(const std::string& type);
void make(Tools& tools, const std::string& device, const std::string& type);
/// The device has grown already. @p mounted: where it is mounted meanwhile.
void grow(Tools& tools, const std::string& device, const std::string& type, const Dir& mounted);
/// Before the device shrinks; ext4 unmounted, btrfs with @p mounted. @throws Internal with LXD's text for xfs
void shrink(Tools& tools, const std::string& device, const std::string& type, std::int64_t bytes, const Dir* mounted);
bool can_shrink(const std::string& type);
bool shrinks_mounted(const std::string& type);
/// A copy that is to be mounted beside its original needs an identity of its own (xfs, btrfs).
void renew_identity(Tools& tools, const std::string& device, const std::string& type);
/// The options with which a volume's device is mounted.
std::string mount_options(const std::string& wanted, const std::string& type, bool read_only);

} // namespace lxdcore::storage::filesystem
