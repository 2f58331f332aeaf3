// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "system/idmap.hpp"
#include "util/dir.hpp"

namespace lxdcore::instance {

/// Gives everything below @p root to the ids of @p to that it has in @p from; an empty map means the ids inside. Works
/// on descriptors that are never followed through links, does not cross mounts, keeps set-id bits and moves file
/// capabilities and access lists along (R38). Safe to repeat after an interruption: what is shifted stays.
/// @throws Error, Cancelled when @p stop was requested
void shift_tree(const Dir& root, const IdMap& from, const IdMap& to, std::stop_token stop = {});

} // namespace lxdcore::instance
