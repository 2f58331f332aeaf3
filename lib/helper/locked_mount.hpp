// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "util/unique_fd.hpp"

namespace lxdcore::helper {

/// A copy of @p mount whose flags are locked. The kernel locks what a namespace of a lesser user namespace is made
/// with, but not what is moved there: the guest's root could make that writable again. So such a namespace is made
/// first.
/// @p recursive: with the mounts below it. @p directory: what is mounted is one.
UniqueFd with_locked_flags(int mount, bool recursive, bool directory);

} // namespace lxdcore::helper
