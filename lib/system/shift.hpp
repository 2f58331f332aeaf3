// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <vector>

#include "system/idmap.hpp"
#include "util/dir.hpp"

namespace lxdcore {

/// The maps that a tree of @p from goes through to end at @p to; no two neighbours have an id in common, so that each
/// stretch can be repeated after a kill -9 at any point. @throws Error BadState if the maps leave no ids to go by
std::vector<IdMap> shift_route(const IdMap& from, const IdMap& to);

/// One stretch: gives everything below @p root to the ids of @p to that it has in @p from; an empty map means the ids
/// inside. Works on descriptors that are never followed through links, does not cross mounts, keeps set-id bits and
/// moves file capabilities and access lists along (R38). On disk when it returns.
/// @throws Error, Cancelled when @p stop was requested
void shift_tree(const Dir& root, const IdMap& from, const IdMap& to, std::stop_token stop = {});

} // namespace lxdcore
