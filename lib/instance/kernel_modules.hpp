// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace lxdcore::instance {

/// Loads the modules of linux.kernel_modules ("a, b") that the kernel does not have yet, with modprobe. A blacklist of
/// the host is obeyed. Reentrant.
/// @throws Error InvalidArgument for what is no name of a module, Internal "Failed to load kernel module 'a': …"
void load_kernel_modules(std::string_view list);

} // namespace lxdcore::instance
