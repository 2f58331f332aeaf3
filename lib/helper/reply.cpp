// SPDX-License-Identifier: Apache-2.0
#include "helper/reply.hpp"

#include <cerrno>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace lxdcore::helper {

using Json = nlohmann::json;

std::string_view code_name(ErrorCode code) noexcept {
    switch (code) {
    case ErrorCode::InvalidArgument:
        return "InvalidArgument";
    case ErrorCode::NotFound:
        return "NotFound";
    case ErrorCode::AlreadyExists:
        return "AlreadyExists";
    case ErrorCode::BadState:
        return "BadState";
    case ErrorCode::StaleEtag:
        return "StaleEtag";
    case ErrorCode::Forbidden:
        return "Forbidden";
    case ErrorCode::Unauthorized:
        return "Unauthorized";
    case ErrorCode::TooLarge:
        return "TooLarge";
    case ErrorCode::Unsupported:
        return "Unsupported";
    case ErrorCode::Unavailable:
        return "Unavailable";
    case ErrorCode::Cancelled:
        return "Cancelled";
    case ErrorCode::NoSpace:
        return "NoSpace";
    case ErrorCode::Internal:
        break;
    }
    return "Internal";
}

void Reply::line(const Json& object) {
    // Texts may quote names of a guest: what is no UTF-8 must not stop the answer.
    write(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Reply::ok(Json object) {
    object["ok"] = true;
    line(object);
}

void Reply::error(ErrorCode code, std::string_view text) noexcept {
    try {
        line({{"ok", false}, {"error", text}, {"code", code_name(code)}});
    } catch (const std::exception&) { // out of memory: the end of the process without an answer says it all
    }
}

void Reply::write(std::string_view text) noexcept {
    answered_ = true;
    while (!text.empty()) {
        const ssize_t n = ::write(fd_, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::int64_t need_int(const Json& request, const char* key) {
    const auto it = request.find(key);
    if (it == request.end() || !it->is_number_integer())
        throw Error{ErrorCode::InvalidArgument, std::string{"helper: no number \""} + key + "\" in the request"};
    return it->get<std::int64_t>();
}

const std::string& need_text(const Json& request, const char* key) {
    const auto it = request.find(key);
    if (it == request.end() || !it->is_string())
        throw Error{ErrorCode::InvalidArgument, std::string{"helper: no text \""} + key + "\" in the request"};
    return it->get_ref<const std::string&>();
}

} // namespace lxdcore::helper
