// SPDX-License-Identifier: Apache-2.0
#include "util/emitter.hpp"

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

void require_plain(std::string_view what, std::string_view text) {
    if (names::has_control(text)) {
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("Invalid {} {}: control character", what, text::quote(text))};
    }
}

} // namespace

Emitter& Emitter::pair(std::string_view key, std::string_view value) {
    require_plain("key", key);
    require_plain("value", value);
    if (key.empty() || key.find_first_of(" =#") != std::string_view::npos) {
        throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid key {}", text::quote(key))};
    }
    text_.append(key).append(" = ").append(value).append("\n");
    return *this;
}

Emitter& Emitter::fields(const std::vector<std::string>& fields, char separator) {
    for (const auto& field : fields) {
        require_plain("field", field);
        if (field.find(separator) != std::string::npos) {
            throw Error{ErrorCode::InvalidArgument,
                        fmt::format("Invalid field {}: contains the separator", text::quote(field))};
        }
    }
    text_.append(text::join(fields, std::string_view{&separator, 1})).append("\n");
    return *this;
}

Emitter& Emitter::line(std::string_view text) {
    require_plain("line", text);
    text_.append(text).append("\n");
    return *this;
}

} // namespace lxdcore
