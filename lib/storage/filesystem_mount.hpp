// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "util/dir.hpp"

/// Mounts of pools. Targets are held directories: no path is looked up again. Reentrant. All throw Error.
namespace lxdcore::storage {

/// "noatime,compress=zstd", as the kernel takes it: its own flags, and the rest for the filesystem.
struct MountOptions {
    unsigned long flags = 0;
    std::string data;
    static MountOptions parse(std::string_view text);
};

void mount_filesystem(const std::string& device, const Dir& target, const std::string& type,
                      const MountOptions& options);
void remount_filesystem(const Dir& mounted, const MountOptions& options);
/// @p source itself, not what is mounted below it.
void bind_directory(const Dir& source, const Dir& target);
bool is_mount_point(const Dir& dir);
bool same_directory(const Dir& a, const Dir& b);
/// Waits a little for those who still look at something there; then the mount goes with the last of them. Absent is
/// fine. @p path is a directory of the daemon's own.
void unmount(const std::string& path);

} // namespace lxdcore::storage
