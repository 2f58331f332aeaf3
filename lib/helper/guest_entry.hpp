// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "helper/guest_root.hpp"

namespace lxdcore::helper {

/// The files of an instance: of a running one after this process has entered its users and mounts as its root (the pid
/// namespace is left: nobody in there can see this process); of a stopped one below its root directory.
/// @p target: the pidfd of its init, or that directory
GuestRoot open_guest(UniqueFd target, bool running);

} // namespace lxdcore::helper
