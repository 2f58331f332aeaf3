// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <lxdcore/api/types.hpp>

namespace lxdcore::instance {

struct Loaded;

/// The first disk at "/"; null if there is none.
const std::pair<const std::string, api::Device>* find_root_disk(const api::Devices& devices);
/// The root disk lies in @p pool, if need be by a device of the instance's own.
void place_root_disk(api::Devices& local, const api::Devices& expanded, const std::string& pool);
/// Where the volume is does not change by words. @throws Error InvalidArgument
void check_root_pool(const Loaded& before, const Loaded& after);
/// The same for a change of a profile that @p before has its root disk from.
void check_root_of_profile(const Loaded& before, const Loaded& after);

} // namespace lxdcore::instance
