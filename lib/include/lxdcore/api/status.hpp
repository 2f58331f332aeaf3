// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include <lxdcore/export.hpp>

namespace lxdcore::api {

/// Codes of the REST API; operations are final from Success on.
enum class Status {
    OperationCreated = 100,
    Started = 101,
    Stopped = 102,
    Running = 103,
    Cancelling = 104,
    Pending = 105,
    Starting = 106,
    Stopping = 107,
    Aborting = 108,
    Freezing = 109,
    Frozen = 110,
    Thawed = 111,
    Error = 112,
    Ready = 113,
    Success = 200,
    Failure = 400,
    Cancelled = 401,
};

/// The name on the wire, "Operation created" for 100. Reentrant.
LXDCORE_API std::string_view name(Status status) noexcept;
/// True for an operation that has ended. Reentrant.
constexpr bool is_final(Status status) noexcept { return static_cast<int>(status) >= 200; }

} // namespace lxdcore::api
