// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/export.hpp>

namespace lxdcore::api {

using StringMap = std::map<std::string, std::string>;
using Device = StringMap;
using Devices = std::map<std::string, Device>;

/// A moment on the wall clock as Go prints it (RFC 3339 with nanoseconds, UTC), a value. None in it is Go's zero time,
/// "0001-01-01T00:00:00Z".
struct LXDCORE_API Time {
    using Point = std::chrono::sys_time<std::chrono::nanoseconds>;
    std::optional<Point> at;

    /// By the clock of this host.
    static Time now();
    /// @p seconds since 1970. @throws Error InvalidArgument beyond the years 1678 to 2262
    static Time from_unix(std::int64_t seconds);
    /// With any offset. @throws Error InvalidArgument
    static Time parse(const std::string& rfc3339);
    /// RFC 3339, without fraction for whole seconds.
    std::string str() const;
    /// Since 1970, rounded down; 0 for the zero time.
    std::int64_t unix_seconds() const;
    bool operator==(const Time&) const = default;
};

/// Both as text, see Time::str() and Time::parse(). Reentrant.
LXDCORE_API void to_json(nlohmann::json& json, const Time& value);
LXDCORE_API void from_json(const nlohmann::json& json, Time& value);

} // namespace lxdcore::api

/// Declares the JSON pair of an api type. Reading follows LXD's rules: keys without regard to case, null is unset,
/// unknown keys are ignored, a wrong type throws Error InvalidArgument naming the field. Writing gives every key.
/// Reentrant.
#define LXDCORE_API_JSON(Type)                                                                                         \
    LXDCORE_API void to_json(nlohmann::json& json, const Type& value);                                                 \
    LXDCORE_API void from_json(const nlohmann::json& json, Type& value)
