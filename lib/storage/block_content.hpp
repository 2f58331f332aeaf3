// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <stop_token>

#include "util/dir.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::storage {

/// What a block volume is in a directory.
inline constexpr const char* kBlockFile = "root.img";
inline constexpr std::int64_t kBlockDefault = std::int64_t{10} << 30; ///< bytes, of one that nobody gave a size

/// The file of a block volume, of at least @p bytes; 0: the default. @throws Error Internal with LXD's text for less
void make_block_image(const Dir& volume, std::int64_t bytes);

inline constexpr std::int64_t kAllOfIt = std::numeric_limits<std::int64_t>::max();

/// Bytes of a file or a device.
std::int64_t block_size(int fd);

/// The first @p bytes of @p from, which may be a pipe, or all it has, over the beginning of @p to, a file or a device.
/// What is zero there already is not written: space that was never given out stays so. Reentrant. @throws Error
/// Cancelled, NoSpace, Internal
void copy_block(int from, int to, const std::stop_token& stop, std::int64_t bytes = kAllOfIt);

} // namespace lxdcore::storage
