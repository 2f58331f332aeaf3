// SPDX-License-Identifier: Apache-2.0
#include "storage/tools/tools.hpp"

#include <exception>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// Where the administrator's programs are; the daemon may have been started with less than that.
constexpr const char* kSearchPath[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

} // namespace

Tools::~Tools() = default;

RunResult Tools::execute(const ToolCall& call) {
    return lxdcore::run(call.argv, {.in = call.in, .out = call.out, .timeout = call.timeout, .stop = call.stop});
}

RunResult Tools::ask(const ToolCall& call) {
    auto result = execute(call);
    log_.debug("Ran a program", {{"argv", text::join(call.argv, " ")}, {"code", std::to_string(result.code)}});
    return result;
}

std::string Tools::run(const ToolCall& call) {
    auto result = ask(call);
    if (result.code == 0) return std::move(result.out);
    const auto said = lines_of(result.err);
    throw Error{ErrorCode::Internal, fmt::format("Failed to run: {}: exit status {} ({})", text::join(call.argv, " "),
                                                 result.code, said.empty() ? "" : said.back())};
}

void Tools::pipe(ToolCall from, ToolCall to) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
    UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    from.out = writer.get();
    to.in = reader.get();
    std::exception_ptr failure;
    {
        const std::jthread sender{[&] {
            try {
                run(from);
            } catch (...) {
                failure = std::current_exception();
            }
            writer.reset(); // the other sees the end
        }};
        try {
            run(to);
        } catch (const Error&) {
            reader.reset(); // the sender does not wait for a reader that is gone
            throw;
        }
    }
    if (failure) std::rethrow_exception(failure);
}

bool Tools::installed(std::string_view program) const {
    for (const auto* folder : kSearchPath)
        if (::access(fmt::format("{}/{}", folder, program).c_str(), X_OK) == 0) return true;
    return false;
}

const std::string& operand(const std::string& text) {
    if (text.empty() || text.front() == '-' || names::has_control(text))
        throw Error{ErrorCode::InvalidArgument, fmt::format("Invalid name {}", text::quote(text))};
    return text;
}

std::vector<std::string> lines_of(std::string_view output) {
    std::vector<std::string> lines;
    for (const auto& line : text::split(output, '\n'))
        if (auto trimmed = text::trim(line); !trimmed.empty()) lines.push_back(std::move(trimmed));
    return lines;
}

} // namespace lxdcore::storage
