// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace lxdcore::daemon {

/// A listening socket at @p path with @p mode and group @p gid, in place of whatever was there. Made inside a directory
/// that only we can enter and renamed: there is no moment at which others could connect. @throws Error
int bind_unix_socket(const std::filesystem::path& path, mode_t mode, gid_t gid);
void remove_unix_socket(const std::filesystem::path& path) noexcept;

} // namespace lxdcore::daemon
