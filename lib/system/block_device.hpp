// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace lxdcore {

/// The disk ("254:0", never a partition: the kernel throttles whole disks) that holds the file or directory at an
/// absolute path; the first one where a filesystem has several. nullopt where no disk is behind it (proc, tmpfs, …).
/// Reentrant. @throws Error NotFound
std::optional<std::string> block_device_of(const std::string& path);
/// The same for an open file or directory; O_PATH will do.
std::optional<std::string> block_device_of(int fd);

} // namespace lxdcore
