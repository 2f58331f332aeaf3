// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "util/compressed_output.hpp"

namespace lxdcore {

/// gzip as a row of members that are compressed side by side; each says in an extra field how long it is, so that it
/// can be read that way too. Null where the library for it was not there when this was built.
std::unique_ptr<CompressedOutput> parallel_gzip(int fd, int level, std::stop_token stop);

void write_fully(int fd, const char* data, std::size_t size); ///< @throws Error with the reason

} // namespace lxdcore
