// SPDX-License-Identifier: Apache-2.0
#include "util/template_engine.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>
#include <vector>

#include <lxdcore/error.hpp>

#include "util/go_time.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr std::size_t kMaxOutput = 1 << 20;
constexpr std::size_t kMaxSource = 1 << 20;
constexpr int kMaxNesting = 50;
constexpr int kMaxExpression = 1000;

[[noreturn]] void fail(const std::string& text) {
    throw Error{ErrorCode::InvalidArgument, "Failed to render template: " + text};
}

struct Token {
    enum Kind { Name, Text, Symbol, End } kind = End;
    std::string text;
};

std::vector<Token> tokenize(std::string_view source) {
    std::vector<Token> out;
    const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; };
    for (std::size_t i = 0; i < source.size();) {
        const char c = source[i];
        if (std::isspace(static_cast<unsigned char>(c))) {
            ++i;
        } else if (c == '"' || c == '\'') {
            std::string value;
            for (++i; i < source.size() && source[i] != c; ++i) {
                if (source[i] == '\\' && i + 1 < source.size()) ++i;
                value += source[i];
            }
            if (i++ >= source.size()) fail("unterminated text");
            out.push_back({Token::Text, std::move(value)});
        } else if (word(c)) {
            const auto begin = i;
            while (i < source.size() && word(source[i]))
                ++i;
            out.push_back({Token::Name, std::string{source.substr(begin, i - begin)}});
        } else {
            const auto two = source.substr(i, 2);
            const bool pair = two == "==" || two == "!=" || two == "&&" || two == "||";
            out.push_back({Token::Symbol, std::string{pair ? two : source.substr(i, 1)}});
            i += pair ? 2 : 1;
        }
        if (out.size() > kMaxExpression) fail("expression too long");
    }
    out.push_back({});
    return out;
}

/// What an expression gives. A text is true unless it is empty, "false" and "0" too: as with pongo2.
struct Value {
    std::string text;
    bool truth = false;
    std::optional<std::chrono::system_clock::time_point> time = {};
};
Value text_value(std::string text) {
    const bool truth = !text.empty();
    return {std::move(text), truth};
}
Value boolean(bool value) { return {value ? "True" : "False", value}; }

std::vector<std::string> split_at(std::string_view value, std::string_view cut) {
    std::vector<std::string> out;
    for (;;) {
        const auto at = value.find(cut);
        out.emplace_back(value.substr(0, at));
        if (at == std::string_view::npos) return out;
        value.remove_prefix(at + cut.size());
    }
}

std::string apply_filter(const std::string& name, Value input, const std::optional<std::string>& argument) {
    auto& value = input.text;
    const auto need = [&]() -> const std::string& {
        if (!argument) fail("filter " + name + " needs an argument");
        return *argument;
    };
    const auto transform = [&](int (*function)(int)) {
        for (char& c : value)
            c = static_cast<char>(function(static_cast<unsigned char>(c)));
        return value;
    };
    if (name == "date" || name == "time") {
        if (!input.time) fail("filter " + name + " needs a time");
        return go_time(*input.time, need());
    }
    if (name == "lower") return transform(std::tolower);
    if (name == "upper") return transform(std::toupper);
    if (name == "trim") return text::trim(value);
    if (name == "safe") return value;
    if (name == "default") return input.truth ? value : need();
    if (name == "length") return std::to_string(value.size());
    if (name == "cut") return need().empty() ? value : text::join(split_at(value, need()), "");
    if (name == "capfirst") {
        if (!value.empty()) value[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(value[0])));
        return value;
    }
    fail("unknown filter " + name);
}

/// Recursive descent over one expression: or, and, not, comparison, filters, primary.
class Expression {
public:
    Expression(std::string_view source, const TemplateContext& context)
        : tokens_{tokenize(source)}, context_{context} {}

    Value run() {
        auto value = either();
        if (peek().kind != Token::End) fail("unexpected " + text::quote(peek().text));
        return value;
    }

private:
    const Token& peek() const { return tokens_[at_]; }
    bool accept(std::string_view symbol) {
        if (peek().kind == Token::Text || peek().text != symbol || peek().kind == Token::End) return false;
        ++at_;
        return true;
    }
    void expect(std::string_view symbol) {
        if (!accept(symbol)) fail("expected " + text::quote(symbol));
    }
    Value either() {
        auto left = both();
        while (accept("or") || accept("||")) {
            const auto right = both();
            left = boolean(left.truth || right.truth);
        }
        return left;
    }
    Value both() {
        auto left = negation();
        while (accept("and") || accept("&&")) {
            const auto right = negation();
            left = boolean(left.truth && right.truth);
        }
        return left;
    }
    Value negation() {
        if (++depth_ > kMaxNesting) fail("expression nested too deeply");
        const bool negate = accept("not") || accept("!");
        auto value = negate ? boolean(!negation().truth) : comparison();
        --depth_;
        return value;
    }
    Value comparison() {
        auto left = filtered();
        if (accept("==")) return boolean(left.text == filtered().text);
        if (accept("!=")) return boolean(left.text != filtered().text);
        if (accept("in")) return boolean(filtered().text.find(left.text) != std::string::npos);
        return left;
    }
    Value filtered() {
        auto value = primary();
        while (accept("|")) {
            if (peek().kind != Token::Name) fail("filter expected");
            const auto name = tokens_[at_++].text;
            std::optional<std::string> argument;
            if (accept(":")) argument = primary().text;
            value = text_value(apply_filter(name, std::move(value), argument));
        }
        return value;
    }
    Value primary() {
        if (accept("(")) {
            if (++depth_ > kMaxNesting) fail("expression nested too deeply");
            auto value = either();
            --depth_;
            expect(")");
            return value;
        }
        const auto token = peek();
        if (token.kind == Token::Text) return ++at_, text_value(token.text);
        if (token.kind != Token::Name) fail("value expected");
        ++at_;
        if (accept("(")) return text_value(call(token.text));
        if (token.text == "true" || token.text == "True") return boolean(true);
        if (token.text == "false" || token.text == "False") return boolean(false);
        if (std::all_of(token.text.begin(), token.text.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
            return {token.text, token.text.find_first_not_of('0') != std::string::npos};
        if (const auto time = context_.times.find(token.text); time != context_.times.end())
            return {go_time(time->second, "2006-01-02 15:04:05 -0700 MST"), true, time->second};
        const auto it = context_.values.find(token.text);
        return it == context_.values.end() ? Value{} : text_value(it->second);
    }
    std::string call(const std::string& name) {
        if (name != "config_get") fail("unknown function " + name);
        const auto key = either().text;
        std::string fallback;
        if (accept(",")) fallback = either().text;
        expect(")");
        const auto it = context_.config.find(key);
        if (it == context_.config.end()) return fallback;
        return it->second.substr(0, it->second.find_last_not_of('\n') + 1); // the template has the line's end
    }

    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    int depth_ = 0;
    const TemplateContext& context_;
};

class Renderer {
public:
    Renderer(std::string_view source, const TemplateContext& context) : rest_{source}, context_{context} {}

    std::string run() {
        while (!rest_.empty())
            step();
        if (!blocks_.empty()) fail("missing endif");
        return std::move(out_);
    }

private:
    struct Block {
        bool outer, active, taken;
    };
    bool active() const { return blocks_.empty() || blocks_.back().active; }

    void step() {
        constexpr std::string_view kBlank = " \t\r\n";
        const auto open = std::min({rest_.find("{{"), rest_.find("{%"), rest_.find("{#")});
        auto literal = rest_.substr(0, open);
        if (std::exchange(trim_next_, false))
            literal.remove_prefix(std::min(literal.find_first_not_of(kBlank), literal.size()));
        // as pongo2: of what the template says, not of what an expression gave; comments trim nothing
        if (open != std::string_view::npos && rest_[open + 1] != '#' && rest_.substr(open + 2).starts_with('-'))
            literal = literal.substr(0, literal.find_last_not_of(kBlank) + 1);
        emit(literal);
        if (open == std::string_view::npos) {
            rest_ = {};
            return;
        }
        const char kind = rest_[open + 1];
        const std::string_view closing = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
        const auto close = rest_.find(closing, open + 2);
        if (close == std::string_view::npos) fail("unterminated tag");
        auto body = rest_.substr(open + 2, close - open - 2);
        rest_.remove_prefix(close + 2);
        if (body.starts_with('-')) body.remove_prefix(1);
        if (body.ends_with('-')) {
            body.remove_suffix(1);
            trim_next_ = kind != '#';
        }
        if (kind == '{' && active()) emit(Expression{body, context_}.run().text);
        if (kind == '%') tag(text::trim(body));
    }
    void emit(std::string_view text) {
        if (!active()) return;
        if (out_.size() + text.size() > kMaxOutput) fail("output too large");
        out_ += text;
    }
    bool test(std::string_view condition) { return Expression{condition, context_}.run().truth; }
    void tag(const std::string& body) {
        const auto blank = body.find_first_of(" \t\n");
        const auto name = body.substr(0, blank);
        const auto rest = blank == std::string::npos ? std::string{} : body.substr(blank);
        if (name == "if") {
            if (blocks_.size() >= kMaxNesting) fail("nested too deeply");
            const bool outer = active();
            const bool value = outer && test(rest);
            blocks_.push_back({outer, value, value});
        } else if (name == "elif" || name == "else") {
            if (blocks_.empty()) fail(name + " without if");
            auto& block = blocks_.back();
            block.active = block.outer && !block.taken && (name == "else" || test(rest));
            block.taken = block.taken || block.active;
        } else if (name == "endif") {
            if (blocks_.empty()) fail("endif without if");
            blocks_.pop_back();
        } else {
            fail("unknown tag " + name);
        }
    }

    std::string_view rest_;
    bool trim_next_ = false; ///< the tag before ended with "-"
    std::string out_;
    std::vector<Block> blocks_;
    const TemplateContext& context_;
};

} // namespace

std::string render_template(std::string_view source, const TemplateContext& context) {
    if (source.size() > kMaxSource) fail("template too large");
    return Renderer{source, context}.run();
}

} // namespace lxdcore
