// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/api/types.hpp>

namespace lxdcore::config {

/// What reaches beyond the container (raw.*, modules and images of the host, ids by hand, system calls done by the
/// server): only an administrator may change it (R14, R22). @p before and @p after: the expanded config of an instance,
/// where a profile's values count, or the config of a profile. Judges the caller of this thread.
/// @throws Error Forbidden
void check_policy(const api::StringMap& before, const api::StringMap& after);

} // namespace lxdcore::config
