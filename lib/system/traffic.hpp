// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace lxdcore::traffic {

/// Shapes what the host sends out of @p link to @p bits per second (a hierarchical token bucket with one class, as LXD
/// sets it up); 0 takes the limit away. Idempotent, reentrant. @throws Error, NotFound for an unknown interface
void shape(const std::string& link, std::uint64_t bits);

} // namespace lxdcore::traffic
