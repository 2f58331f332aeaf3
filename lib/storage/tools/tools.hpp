// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <lxdcore/log.hpp>

#include "util/process.hpp"

namespace lxdcore::storage {

/// One run of a program of a backend.
struct ToolCall {
    std::vector<std::string> argv;
    std::stop_token stop{};
    std::chrono::milliseconds timeout{std::chrono::minutes{10}}; ///< monotonic
    int in = -1;                                                 ///< what it reads; -1: nothing
    int out = -1;                                                ///< where its output goes; -1: it is returned
};

/// The one way in which drivers run programs: argument vectors, no shell, each call in the log at debug level. Tests
/// put a recording fake in its place. Reentrant.
class Tools {
public:
    explicit Tools(const Logger& log) : log_{log} {}
    Tools(const Tools&) = delete;
    Tools& operator=(const Tools&) = delete;
    virtual ~Tools();

    /// The output. @throws Error Internal with the last line of stderr unless the exit code is 0, and at the timeout;
    /// Cancelled when stopped
    std::string run(const ToolCall& call);
    std::string run(std::vector<std::string> argv) { return run(ToolCall{.argv = std::move(argv)}); }
    /// The same for calls whose failure is an answer. @throws only when the program cannot run to its end
    RunResult ask(const ToolCall& call);
    RunResult ask(std::vector<std::string> argv) { return ask(ToolCall{.argv = std::move(argv)}); }
    /// The output of one is the input of the other; both run at once. @throws as run(), naming the one that failed
    virtual void pipe(ToolCall from, ToolCall to);
    bool succeeds(std::vector<std::string> argv) { return ask(std::move(argv)).code == 0; }
    /// In the search path; starts no process.
    virtual bool installed(std::string_view program) const;

    const Logger& log() const noexcept { return log_; }

protected:
    virtual RunResult execute(const ToolCall& call);

private:
    const Logger& log_;
};

/// A text that a program takes as a name: never empty, never an option, no control characters (R7). What else a name
/// may be is the caller's to know. @throws Error InvalidArgument
const std::string& operand(const std::string& text);

/// Lines of an output, trimmed, without empty ones.
std::vector<std::string> lines_of(std::string_view output);

} // namespace lxdcore::storage
