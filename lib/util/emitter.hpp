// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lxdcore {

/// The only producer of line-based generated text: lxc.conf, dnsmasq files, resolv.conf (R5). Refuses control
/// characters in every key, value and field with Error InvalidArgument, so that one value can never become two lines.
/// Reentrant.
class Emitter {
public:
    Emitter& pair(std::string_view key, std::string_view value); ///< "key = value"
    /// Fields joined by @p separator; a field may not contain the separator.
    Emitter& fields(const std::vector<std::string>& fields, char separator);
    Emitter& line(std::string_view text); ///< one line from program constants and numbers
    const std::string& text() const noexcept { return text_; }

private:
    std::string text_;
};

} // namespace lxdcore
