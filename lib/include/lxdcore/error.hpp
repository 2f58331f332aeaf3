// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <lxdcore/export.hpp>

namespace lxdcore {

/// What kind of failure this is. The daemon maps each to one HTTP status, Python to one exception class.
enum class ErrorCode {
    InvalidArgument, ///< the request itself is wrong (400)
    NotFound,        ///< 404
    AlreadyExists,   ///< name taken or conflicting (409)
    BadState,        ///< right request, wrong moment: not running, busy, in use (400)
    StaleEtag,       ///< If-Match does not match (412)
    Forbidden,       ///< 403
    Unauthorized,    ///< 401, guest API only
    TooLarge,        ///< a bound of the request was exceeded (413)
    Unsupported,     ///< known but not offered here (501)
    Unavailable,     ///< starting, stopping, or a resource is away for now (503)
    Cancelled,       ///< the operation was cancelled by its owner
    NoSpace,         ///< disk or quota full (500)
    Internal,        ///< everything else (500)
};

/// The one exception type that leaves the library. Reentrant.
class LXDCORE_API Error : public std::exception {
public:
    /// @p message is for people; texts that clients may depend on are LXD's.
    Error(ErrorCode code, std::string message) : code_{code}, message_{std::move(message)} {}
    Error(const Error&) = default;
    Error(Error&&) noexcept = default;
    Error& operator=(const Error&) = default;
    Error& operator=(Error&&) noexcept = default;
    ~Error() override; ///< in error.cpp, so that `catch` works across shared libraries

    ErrorCode code() const noexcept { return code_; } ///< the kind of failure
    /// The text; valid as long as the Error.
    const char* what() const noexcept override { return message_.c_str(); }
    /// Puts @p context in front: "create c1: mount pool default: permission denied".
    void add_context(std::string_view context) { message_.insert(0, std::string{context} + ": "); }

private:
    ErrorCode code_;
    std::string message_;
};

/// Throws Error for @p err (an errno value): ENOENT is NotFound, ENOSPC and EDQUOT are NoSpace, the rest Internal.
/// The text is "<what>: <strerror>".
[[noreturn]] LXDCORE_API void throw_errno(std::string_view what, int err);
/// The same with the current errno.
[[noreturn]] LXDCORE_API void throw_errno(std::string_view what);

} // namespace lxdcore
