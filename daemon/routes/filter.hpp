// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lxdcore::daemon {

/// ?filter= of lists: `[not] field eq|ne value`, joined by `and` / `or`, left to right. Texts are compared as anchored
/// regular expressions without regard to case; numbers and booleans equal nothing, as in LXD 5.0.
class Filter {
public:
    /// @throws HttpError 500 "<context>: …" as LXD
    static Filter parse(std::string_view text, const std::string& context = "Invalid filter");
    bool empty() const noexcept { return clauses_.empty(); }
    /// @throws HttpError 500 for an expression that would cost too much
    bool matches(const nlohmann::json& object) const;

private:
    struct Clause {
        bool joined_by_and = true; ///< to what is left of it
        bool negate = false;
        std::string field, op, value;
    };
    static bool test(const Clause& clause, const nlohmann::json& object);
    std::vector<Clause> clauses_;
};

} // namespace lxdcore::daemon
