// SPDX-License-Identifier: Apache-2.0
#include "routes/filter.hpp"

#include <regex.h>

#include <charconv>
#include <memory>

#include <nlohmann/json.hpp>

#include "http/error_mapping.hpp"
#include "http/url.hpp"

namespace lxdcore::daemon {

namespace {

/// Bounds what a client's expression may cost us (R52, R53).
constexpr std::size_t kMaxPattern = 1024;
constexpr std::uint64_t kMaxRepeats = 1000;

[[noreturn]] void invalid(const std::string& why) { throw HttpError{500, "Invalid filter: " + why}; }

/// Words at blanks; a quoted part may hold blanks.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool quoted = false, inside = false;
    for (const char c : text) {
        if (c == '"') {
            quoted = !quoted;
            inside = true;
        } else if (c == ' ' && !quoted) {
            if (inside) words.push_back(std::move(word));
            word.clear();
            inside = false;
        } else {
            word += c;
            inside = true;
        }
    }
    if (quoted) invalid("unterminated quote");
    if (inside) words.push_back(std::move(word));
    return words;
}

const nlohmann::json* find_field(const nlohmann::json& object, std::string_view field) {
    if (!object.is_object()) return nullptr;
    if (const auto it = object.find(field); it != object.end()) return &*it; // also keys that hold dots
    for (auto dot = field.find('.'); dot != std::string_view::npos; dot = field.find('.', dot + 1)) {
        const auto it = object.find(field.substr(0, dot));
        if (it == object.end()) continue;
        if (const auto* found = find_field(*it, field.substr(dot + 1))) return found;
    }
    return nullptr;
}

/// The product of all repeat counts, which is what a compiled expression can grow to.
bool too_costly(std::string_view pattern) {
    std::uint64_t product = 1;
    for (auto at = pattern.find('{'); at != std::string_view::npos; at = pattern.find('{', at + 1)) {
        std::uint64_t most = 1;
        std::string_view rest = pattern.substr(at + 1);
        while (!rest.empty() && rest.front() != '}') {
            std::uint64_t count = 0;
            const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
            if (ec == std::errc::result_out_of_range) return true;
            most = std::max(most, count);
            rest.remove_prefix(ec == std::errc{} ? static_cast<std::size_t>(end - rest.data()) : 1);
        }
        if (most > kMaxRepeats) return true;
        product *= most;
        if (product > kMaxRepeats) return true;
    }
    return pattern.size() > kMaxPattern;
}

bool text_matches(const std::string& text, const std::string& pattern) {
    if (pattern.find_first_of("\\^$.[]|()?*+{}") == std::string::npos) return iequals(text, pattern);
    if (too_costly(pattern)) invalid("expression is too large");
    regex_t compiled;
    const auto anchored = "^(" + pattern + ")$";
    if (::regcomp(&compiled, anchored.c_str(), REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        invalid("error parsing regexp: `" + pattern + "`");
    const std::unique_ptr<regex_t, decltype(&::regfree)> held{&compiled, &::regfree};
    return ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
}

bool value_matches(const nlohmann::json& field, const std::string& value) {
    if (field.is_string()) return text_matches(field.get_ref<const std::string&>(), value);
    if (field.is_boolean()) {
        const auto text = lower(value);
        const bool yes = text == "true" || text == "1" || text == "t";
        if (!yes && text != "false" && text != "0" && text != "f") invalid("\"" + value + "\" is not a boolean");
        return field.get<bool>() == yes;
    }
    if (field.is_number_integer()) {
        std::int64_t number = 0;
        const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (ec != std::errc{} || end != value.data() + value.size()) invalid("\"" + value + "\" is not a number");
        return field.get<std::int64_t>() == number;
    }
    return false;
}

} // namespace

Filter Filter::parse(std::string_view text) {
    Filter filter;
    const auto words = words_of(text);
    bool joined_by_and = true;
    for (std::size_t i = 0; i < words.size();) {
        Clause clause;
        clause.joined_by_and = joined_by_and;
        if (lower(words[i]) == "not") {
            clause.negate = true;
            if (++i == words.size()) invalid("incomplete not clause");
        }
        clause.field = words[i++];
        if (i == words.size()) invalid("clause has no operator");
        clause.op = words[i++];
        if (i == words.size()) invalid("clause has no value");
        clause.value = words[i++];
        filter.clauses_.push_back(std::move(clause));
        if (i == words.size()) break;
        if (words[i] != "and" && words[i] != "or") invalid("invalid clause composition");
        joined_by_and = words[i++] == "and";
        if (i == words.size()) invalid("unterminated compound clause");
    }
    return filter;
}

bool Filter::test(const Clause& clause, const nlohmann::json& object) {
    const auto* field = find_field(object, clause.field);
    // a field that is not there equals nothing and differs from nothing
    if (field == nullptr) return false;
    // as in LXD, what is not "ne" is "eq"
    return value_matches(*field, clause.value) != (clause.op == "ne");
}

bool Filter::matches(const nlohmann::json& object) const {
    bool result = true;
    for (const auto& clause : clauses_) {
        const bool match = test(clause, object) != clause.negate;
        result = clause.joined_by_and ? result && match : result || match;
    }
    return result;
}

} // namespace lxdcore::daemon
