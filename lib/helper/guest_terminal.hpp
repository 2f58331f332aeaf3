// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "util/unique_fd.hpp"

namespace lxdcore::helper {

struct Terminal {
    UniqueFd master, slave;
};

/// A pty of the devpts at /dev/pts of the mount namespace we are in, so that its name is valid there. Everything on the
/// way is checked: no link, no other file system, the ptmx device itself.
/// @throws Error
Terminal open_guest_terminal(int width, int height);

/// Sends @p fd over a unix socket with one byte that says what it is. @throws Error
void send_fd(int socket, int fd, char kind);

} // namespace lxdcore::helper
