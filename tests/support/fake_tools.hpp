// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "storage/tools/tools.hpp"
#include "util/text.hpp"

namespace lxdcore::test {

/// Programs that are not run: keeps what would have been, and answers as told.
class FakeTools : public storage::Tools {
public:
    explicit FakeTools(const Logger& log) : Tools{log} {}

    /// Every later call that begins with @p prefix ends so; the longest prefix counts. What has no answer succeeds.
    void answer(const std::string& prefix, RunResult result) { answers_[prefix] = std::move(result); }
    void answer(const std::string& prefix, const char* out) {
        answer(prefix, RunResult{.code = 0, .out = out, .err = {}});
    }
    void fail(const std::string& prefix, std::string err = "boom") {
        answer(prefix, RunResult{.code = 1, .out = {}, .err = std::move(err)});
    }
    /// The first call that begins with @p prefix ends so, before all other answers; several are used in turn.
    void answer_once(const std::string& prefix, const char* out) {
        once_.emplace_back(prefix, RunResult{.code = 0, .out = out, .err = {}});
    }
    void forget(const std::string& prefix) { answers_.erase(prefix); }
    /// The calls since the last time, one text each.
    std::vector<std::string> take() { return std::exchange(calls_, {}); }
    /// Something that is no program but belongs into the sequence.
    void record(std::string what) { calls_.push_back(std::move(what)); }
    void pipe(storage::ToolCall from, storage::ToolCall to) override {
        record(text::join(from.argv, " ") + " | " + text::join(to.argv, " "));
    }
    bool installed(std::string_view program) const override { return !missing.contains(std::string{program}); }

    std::map<std::string, bool> missing;

protected:
    RunResult execute(const storage::ToolCall& call) override {
        const auto line = text::join(call.argv, " ");
        calls_.push_back(line);
        for (auto it = once_.begin(); it != once_.end(); ++it) {
            if (!line.starts_with(it->first)) continue;
            auto result = std::move(it->second);
            once_.erase(it);
            return result;
        }
        const std::pair<const std::string, RunResult>* best = nullptr;
        for (const auto& entry : answers_)
            if (line.starts_with(entry.first) && (!best || entry.first.size() > best->first.size())) best = &entry;
        return best ? best->second : RunResult{};
    }

private:
    std::vector<std::string> calls_;
    std::map<std::string, RunResult> answers_;
    std::deque<std::pair<std::string, RunResult>> once_;
};

} // namespace lxdcore::test
