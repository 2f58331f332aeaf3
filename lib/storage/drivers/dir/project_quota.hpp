// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "util/dir.hpp"

/// Project quotas of ext4 and xfs. The kernel counts inodes by a number that each carries and that what is made in a
/// directory takes over from it; ids inside containers cannot change it. Reentrant. All throw Error.
namespace lxdcore::storage::project_quota {

enum class Support {
    None,
    Counted, ///< space is counted, limits have no effect
    Enforced,
};
Support support(const Dir& dir);

/// The number that is taken over by what is made in @p dir; 0: none.
std::uint32_t inherited(const Dir& dir);

/// Gives the number to @p tree and all in it; those that have it already cost a look. Another process may change the
/// tree meanwhile: nothing outside is touched, and what is made or moved inside has the number in the end, because the
/// kernel moves nothing without it into a directory that has it.
void assign(const Dir& tree, std::uint32_t number);

/// @p bytes 0: no limit. @p on: any directory of the filesystem.
void set_limit(const Dir& on, std::uint32_t number, std::int64_t bytes);
std::int64_t usage(const Dir& on, std::uint32_t number); ///< bytes

} // namespace lxdcore::storage::project_quota
