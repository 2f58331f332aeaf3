// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/error.hpp>

#include <cerrno>
#include <cstring>

namespace lxdcore {

namespace {

ErrorCode code_of(int err) {
    switch (err) {
    case ENOENT:
        return ErrorCode::NotFound;
    case ENOSPC:
    case EDQUOT:
        return ErrorCode::NoSpace;
    default:
        return ErrorCode::Internal;
    }
}

} // namespace

Error::~Error() = default;

void throw_errno(std::string_view what, int err) {
    char buffer[128];
    // GNU strerror_r: the result may be a constant instead of the buffer.
    throw Error{code_of(err), std::string{what} + ": " + ::strerror_r(err, buffer, sizeof buffer)};
}

void throw_errno(std::string_view what) { throw_errno(what, errno); }

} // namespace lxdcore
