// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lxdcore::client {

/// RFC 3986's unreserved characters stay, the rest becomes %XX.
std::string encode(std::string_view text);
/// "/1.0/…" with its parts and its query put together from raw text.
class Url {
public:
    explicit Url(std::string path) : text_{std::move(path)} {}
    Url& operator/(std::string_view part) {
        text_ += '/' + encode(part);
        return *this;
    }
    /// Left out when @p value is empty.
    Url& query(std::string_view key, std::string_view value) {
        if (value.empty()) return *this;
        text_ += text_.find('?') == std::string::npos ? '?' : '&';
        text_ += encode(key) + '=' + encode(value);
        return *this;
    }
    Url& project(std::string_view name) { return name == "default" ? *this : query("project", name); }
    const std::string& str() const noexcept { return text_; }

private:
    std::string text_;
};

} // namespace lxdcore::client
