// SPDX-License-Identifier: Apache-2.0
#include "http/multipart.hpp"

#include <lxdcore/error.hpp>

#include "http/url.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kMaxHeader = 16 * 1024;
constexpr std::size_t kMaxBoundary = 70; // RFC 2046

[[noreturn]] void invalid() { throw Error{ErrorCode::InvalidArgument, "Invalid multipart image"}; }

/// The value of @p key in `form-data; name="x"; filename=y`.
std::string parameter(std::string_view text, std::string_view key) {
    while (true) {
        const auto semicolon = text.find(';');
        if (semicolon == std::string_view::npos) return {};
        text.remove_prefix(semicolon + 1);
        text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
        const auto equals = text.find('=');
        if (equals == std::string_view::npos) return {};
        const bool wanted = iequals(text.substr(0, equals), key);
        text.remove_prefix(equals + 1);
        std::string value;
        if (text.starts_with('"')) {
            text.remove_prefix(1);
            while (!text.empty() && text.front() != '"') {
                if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
                value += text.front();
                text.remove_prefix(1);
            }
        } else {
            value = text.substr(0, std::min(text.find(';'), text.size()));
        }
        if (wanted) return value;
    }
}

} // namespace

MultipartParser::MultipartParser(std::string boundary, std::function<void(const Part&)> on_part,
                                 std::function<void(const char*, std::size_t)> on_data)
    : boundary_{"\r\n--" + boundary}, on_part_{std::move(on_part)}, on_data_{std::move(on_data)}, pending_{"\r\n"} {}

std::string MultipartParser::boundary_of(std::string_view content_type) {
    const auto type = content_type.substr(0, std::min(content_type.find(';'), content_type.size()));
    if (!iequals(type, "multipart/form-data")) return {};
    const auto boundary = parameter(content_type, "boundary");
    return boundary.size() <= kMaxBoundary ? boundary : "";
}

void MultipartParser::read_header(std::string_view header) {
    Part part;
    while (!header.empty()) {
        const auto end = std::min(header.find("\r\n"), header.size());
        const auto line = header.substr(0, end);
        header.remove_prefix(std::min(end + 2, header.size()));
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) invalid();
        if (!iequals(line.substr(0, colon), "Content-Disposition")) continue;
        part.name = parameter(line, "name");
        part.filename = parameter(line, "filename");
    }
    on_part_(part);
}

/// One move of the machine over pending_; false when more bytes are needed.
bool MultipartParser::step() {
    switch (state_) {
    case State::Preamble:
    case State::Body: {
        const auto at = pending_.find(boundary_);
        // what might be the beginning of a boundary stays
        const auto sure = at != std::string::npos ? at : pending_.size() - std::min(pending_.size(), boundary_.size());
        if (state_ == State::Body && sure > 0) on_data_(pending_.data(), sure);
        if (at == std::string::npos) {
            pending_.erase(0, sure);
            return false;
        }
        pending_.erase(0, at + boundary_.size());
        state_ = State::AfterBoundary;
        return true;
    }
    case State::AfterBoundary:
        if (pending_.size() < 2) return false;
        if (pending_.starts_with("--"))
            state_ = State::Done;
        else if (pending_.starts_with("\r\n"))
            state_ = State::Header;
        else
            invalid();
        if (state_ == State::Done) pending_.clear();
        return state_ != State::Done;
    case State::Header: {
        // the line end after the boundary is still there: an empty header ends at once
        const auto end = pending_.find("\r\n\r\n");
        if (end == std::string::npos) {
            if (pending_.size() > kMaxHeader) invalid();
            return false;
        }
        if (end > kMaxHeader) invalid();
        const std::string header = end > 2 ? pending_.substr(2, end - 2) : std::string{};
        pending_.erase(0, end + 4);
        state_ = State::Body;
        read_header(header);
        return true;
    }
    case State::Done:
        pending_.clear();
        return false;
    }
    return false;
}

void MultipartParser::feed(const char* data, std::size_t size) {
    pending_.append(data, size);
    while (step()) {
    }
    if (state_ == State::Preamble && pending_.size() > kMaxHeader) invalid();
}

void MultipartParser::finish() {
    if (state_ != State::Done) invalid();
}

} // namespace lxdcore::daemon
