// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

namespace lxdcore::daemon {

std::string read_line(); ///< of standard input. @throws Error at its end
/// Asks until @p good holds; an empty answer means @p fallback.
std::string ask(const std::string& question, const std::string& fallback,
                const std::function<bool(const std::string&)>& good = {});
std::string ask_any(const std::string& question); ///< also an empty answer
bool ask_yes(const std::string& question, bool fallback);

} // namespace lxdcore::daemon
