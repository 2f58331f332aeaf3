// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <compare>
#include <vector>

namespace lxdcore {

/// The kernel's identity of a namespace.
struct NamespaceId {
    dev_t device = 0;
    ino_t inode = 0;
    auto operator<=>(const NamespaceId&) const = default;
};

/// The pid namespaces that process @p pid is in: its own, then those around it, as far as they are below ours.
/// @p pidfd says which process is meant should the number have been reused. @throws Error NotFound when it has ended
std::vector<NamespaceId> pid_namespaces(int pid, int pidfd);

} // namespace lxdcore
