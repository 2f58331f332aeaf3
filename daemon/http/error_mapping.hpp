// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>

#include <lxdcore/error.hpp>

#include "http/response.hpp"

namespace lxdcore::daemon {

/// A failure with an HTTP code that no ErrorCode stands for (LXD answers some client mistakes with 500).
class HttpError : public std::exception {
public:
    HttpError(unsigned status, std::string text, bool close = false)
        : status_{status}, text_{std::move(text)}, close_{close} {}
    const char* what() const noexcept override { return text_.c_str(); }
    unsigned status() const noexcept { return status_; }
    bool close() const noexcept { return close_; } ///< the connection cannot be used any further

private:
    unsigned status_;
    std::string text_;
    bool close_;
};

unsigned http_status(ErrorCode code) noexcept;
/// The answer to the exception being handled; the one place where errors become HTTP.
Response error_response(std::exception_ptr failure);

} // namespace lxdcore::daemon
