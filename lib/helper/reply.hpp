// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

/// The answer of a verb: JSON lines on descriptor 4. A reader that went away is not an error of the verb. Thread-bound.
class Reply {
public:
    explicit Reply(int fd) noexcept : fd_{fd} {}
    void line(const nlohmann::json& object); ///< as it is; "ok" is the caller's
    void ok(nlohmann::json object);          ///< with "ok": true added
    void error(ErrorCode code, std::string_view text) noexcept;
    bool answered() const noexcept { return answered_; }
    void leave() noexcept { answered_ = true; } ///< another process answers
    int fd() const noexcept { return fd_; }

private:
    void write(std::string_view text) noexcept;
    int fd_;
    bool answered_ = false;
};

/// "NotFound" for ErrorCode::NotFound: the name on the wire between the helper and HelperProgram.
std::string_view code_name(ErrorCode code) noexcept;

/// Field readers for requests. @throws Error InvalidArgument naming the field when it is absent or of another type.
std::int64_t need_int(const nlohmann::json& request, const char* key);
const std::string& need_text(const nlohmann::json& request, const char* key);

} // namespace lxdcore::helper
