// SPDX-License-Identifier: Apache-2.0
#include "http/error_mapping.hpp"

#include <new>

namespace lxdcore::daemon {

unsigned http_status(ErrorCode code) noexcept {
    switch (code) { // no default: -Wswitch reports a new code without a line here
    case ErrorCode::InvalidArgument:
    case ErrorCode::BadState:
    case ErrorCode::Cancelled:
        return 400;
    case ErrorCode::Unauthorized:
        return 401;
    case ErrorCode::Forbidden:
        return 403;
    case ErrorCode::NotFound:
        return 404;
    case ErrorCode::AlreadyExists:
        return 409;
    case ErrorCode::StaleEtag:
        return 412;
    case ErrorCode::TooLarge:
        return 413;
    case ErrorCode::Unsupported:
        return 501;
    case ErrorCode::Unavailable:
        return 503;
    case ErrorCode::NoSpace:
    case ErrorCode::Internal:
        break;
    }
    return 500;
}

Response error_response(std::exception_ptr failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const HttpError& error) {
        auto response = Response::error(error.status(), error.what());
        response.close = error.close();
        return response;
    } catch (const Error& error) {
        return Response::error(http_status(error.code()), error.what());
    } catch (const std::bad_alloc&) {
        return Response::error(503, "Out of memory");
    } catch (const std::exception& error) {
        return Response::error(500, error.what());
    }
}

} // namespace lxdcore::daemon
