// SPDX-License-Identifier: Apache-2.0
#include "routes/filter.hpp"

#include <regex.h>

#include <cctype>
#include <charconv>
#include <memory>
#include <optional>
#include <sstream>

#include <nlohmann/json.hpp>

#include "http/error_mapping.hpp"
#include "http/url.hpp"

namespace lxdcore::daemon {

namespace {

/// Bounds what a client's expression may cost us (R52, R53).
constexpr std::size_t kMaxPattern = 1024;
constexpr std::uint64_t kMaxRepeats = 1000;

/// Words at white space; quotes mean nothing yet.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::istringstream stream{std::string{text}};
    for (std::string word; stream >> word;)
        words.push_back(std::move(word));
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

/// A pattern of Go's, which clients write, as a POSIX extended one; for whole matches both mean the same. Empty where
/// there is none: what Go has no meaning for, and what we cannot say.
std::optional<std::string> posix_pattern(std::string_view pattern) {
    if (pattern.starts_with("(?i)")) pattern.remove_prefix(4); // it always is
    std::string out;
    bool in_set = false, repeated = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        if (c == '\\') {
            ++i;
            if (next == 'd')
                out += in_set ? "0-9" : "[0-9]";
            else if (next == 'D' && !in_set)
                out += "[^0-9]";
            else if (std::string_view{"wWsSbB"}.find(next) != std::string_view::npos && !in_set)
                out += {'\\', next};
            else if (std::isalnum(static_cast<unsigned char>(next)) != 0 || next == '\0')
                return std::nullopt;
            else if (in_set)
                out += next;
            else
                out += {'\\', next};
        } else if (c == '(' && next == '?' && !in_set) {
            if (pattern.substr(i, 3) != "(?:") return std::nullopt;
            out += '(';
            i += 2;
        } else if (c == '?' && repeated && !in_set) {
            repeated = false; // as few as possible: the same whole texts
            continue;
        } else {
            in_set = c == '[' ? true : c == ']' ? false : in_set;
            out += c;
        }
        repeated = !in_set && (c == '*' || c == '+' || c == '?' || c == '}');
    }
    return out;
}

bool text_matches(const std::string& text, const std::string& pattern) {
    if (pattern.find_first_of("\\^$.[]|()?*+{}") == std::string::npos) return iequals(text, pattern);
    if (too_costly(pattern)) throw HttpError{500, "Invalid filter: expression is too large"};
    const auto posix = posix_pattern(pattern);
    if (!posix) return false;
    regex_t compiled;
    const auto anchored = "^(" + *posix + ")$";
    if (::regcomp(&compiled, anchored.c_str(), REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0) return false;
    const std::unique_ptr<regex_t, decltype(&::regfree)> held{&compiled, &::regfree};
    return ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
}

} // namespace

Filter Filter::parse(std::string_view text, const std::string& context) {
    const auto invalid = [&](const char* why) { throw HttpError{500, context + ": " + why}; };
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
        if (clause.value.front() == '"') { // goes on to a later word that ends with a quote, as LXD reads it
            clause.value.erase(0, 1);
            do {
                if (i == words.size()) invalid("unterminated quote");
                clause.value += " " + words[i++];
            } while (clause.value.back() != '"');
            clause.value.pop_back();
        }
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
    // as in LXD, only texts can be equal to a value, and what is not "ne" is "eq"
    const bool equal =
        field != nullptr && field->is_string() && text_matches(field->get_ref<const std::string&>(), clause.value);
    return equal != (clause.op == "ne");
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
