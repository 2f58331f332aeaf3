// SPDX-License-Identifier: Apache-2.0
#include "admin/ask.hpp"

#include <iostream>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::daemon {

std::string read_line() {
    std::string line;
    if (!std::getline(std::cin, line)) throw Error{ErrorCode::InvalidArgument, "EOF"};
    return line;
}

std::string ask(const std::string& question, const std::string& fallback,
                const std::function<bool(const std::string&)>& good) {
    while (true) {
        std::cout << question << (fallback.empty() ? "" : fmt::format(" [default={}]", fallback)) << ": " << std::flush;
        auto answer = read_line();
        if (answer.empty()) answer = fallback;
        if (!answer.empty() && (!good || good(answer))) return answer;
        std::cerr << "Invalid input, try again.\n\n";
    }
}

bool ask_yes(const std::string& question, bool fallback) {
    const auto known = [](const std::string& a) { return a == "yes" || a == "y" || a == "no" || a == "n"; };
    return ask(question + " (yes/no)", fallback ? "yes" : "no", known)[0] == 'y';
}

std::string ask_any(const std::string& question) {
    std::cout << question << ": " << std::flush;
    return read_line();
}

} // namespace lxdcore::daemon
