// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

using namespace lxdcore;
using nlohmann::json;

namespace {

std::string nested(int depth, const char* open, const char* close) {
    std::string text;
    for (int i = 0; i < depth; ++i)
        text += open;
    for (int i = 0; i < depth; ++i)
        text += close;
    return text;
}
ErrorCode code_of(const std::string& text) {
    try {
        api::parse_json(text);
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode::Internal; // stands for "accepted": the parser never reports it
}
std::string text_of(const std::string& text) {
    try {
        api::parse_json(text);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("R53: nesting is bounded at 100") {
    CHECK_NOTHROW(api::parse_json(nested(100, "[", "]")));
    CHECK(code_of(nested(101, "[", "]")) == ErrorCode::InvalidArgument);
    CHECK(code_of(nested(1'000'000, "[", "]")) == ErrorCode::InvalidArgument);
    std::string objects = "1";
    for (int i = 0; i < 101; ++i)
        objects = "{\"a\":" + objects + "}";
    CHECK(code_of(objects) == ErrorCode::InvalidArgument);
}

TEST_CASE("R53: the number of values is bounded at 100000") {
    std::string list = "[";
    for (int i = 0; i < 99'998; ++i)
        list += "1,";
    CHECK_NOTHROW(api::parse_json(list + "1]"));
    CHECK(code_of(list + "1,1]") == ErrorCode::TooLarge);
}

TEST_CASE("R53: the size is bounded at 16 MiB") {
    CHECK(code_of('"' + std::string(16 << 20, 'x') + '"') == ErrorCode::TooLarge);
    CHECK_NOTHROW(api::parse_json('"' + std::string((16 << 20) - 2, 'x') + '"'));
}

TEST_CASE("R57: malformed texts are refused") {
    CHECK(text_of("") == "EOF");
    CHECK(text_of("  \n") == "EOF");
    CHECK(text_of("{\"name\":") == "unexpected EOF");
    CHECK(text_of("\"abc") == "unexpected EOF");
    const std::string nul_between{"{}\0{}", 5};
    const std::string nul_inside{"\"a\0b\"", 5};
    for (const std::string& bad : {std::string{"{} trailing"},
                                   std::string{"{}{}"},
                                   nul_between,
                                   nul_inside,
                                   std::string{"\"\\u0000\""},
                                   std::string{"{\"a\\u0000\":1}"},
                                   std::string{"\"\xff\""},
                                   std::string{"\"\xc3\""},
                                   std::string{"\"\xed\xa0\x80\""},
                                   std::string{"\"\\ud800\""},
                                   std::string{"\"\\udc00\""},
                                   std::string{"\"\\ud800\\u0041\""},
                                   std::string{"{'a':1}"},
                                   std::string{"[1,]"},
                                   std::string{"1e999"},
                                   std::string{"nul"},
                                   std::string{"\"a\nb\""},
                                   std::string{"// x\n1"},
                                   std::string{"01"},
                                   std::string{"NaN"}}) {
        CAPTURE(bad);
        CHECK(code_of(bad) == ErrorCode::InvalidArgument);
    }
}

TEST_CASE("of duplicate keys the last one wins") { CHECK(api::parse_json(R"({"a":1,"a":2})")["a"] == 2); }

TEST_CASE("R52: every truncation of a valid body is an error") {
    const std::string body = R"({"name":"c1","config":{"user.a":"\u00e4\ud83d\ude00"},"n":[1,-2.5e3,true,null]})";
    CHECK_NOTHROW(api::parse_json(body));
    for (std::size_t length = 0; length < body.size(); ++length)
        CHECK(code_of(body.substr(0, length)) == ErrorCode::InvalidArgument);
}

TEST_CASE("encoding follows Go") {
    CHECK(api::encode_json({{"b", 1}, {"a", "<&>\"\\\n\t\x01\x7f\u2028ä"}}) ==
          "{\"a\":\"\\u003c\\u0026\\u003e\\\"\\\\\\n\\t\\u0001\x7f\\u2028ä\",\"b\":1}");
    CHECK(api::encode_json("\xff") == "\"\\ufffd\"");
    CHECK(api::encode_json(json::array({true, nullptr, -5, 18446744073709551615ULL})) ==
          "[true,null,-5,18446744073709551615]");
    CHECK(api::encode_json(json::array({0.5, 1e21, 1e-7, 100.0})) == "[0.5,1e+21,1e-7,100]");
    CHECK(api::encode_json(json::object()) == "{}");
}

TEST_CASE("an ETag is the one that LXD gives for the same fields") {
    const json devices = {{"eth0", {{"name", "eth0"}, {"network", "orbr0"}, {"type", "nic"}}},
                          {"root", {{"path", "/"}, {"pool", "default"}, {"type", "disk"}}}};
    CHECK(api::etag_of(json::array({json::object(), "Default LXD profile", devices})) ==
          "ddd529c5ae639742be1e6cee350af3511ab8f2a1e6b315ede0d3453295db07ec");
    CHECK(api::etag_of(json::object()) == "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356");
}

TEST_CASE("a stale ETag is refused with LXD's text, none and a quoted one pass") {
    CHECK_NOTHROW(api::check_etag("abc", ""));
    CHECK_NOTHROW(api::check_etag("abc", "abc"));
    CHECK_NOTHROW(api::check_etag("abc", "\"abc\""));
    CHECK_THROWS_WITH_AS(api::check_etag("abc", "def"), "ETag doesn't match: abc vs def", Error);
}

TEST_CASE("YAML: scalars become what they plainly are") {
    const auto value = api::parse_yaml("a: 5\nb: '5'\nc: true\nd: yes\ne: 22.04\nf: 007\ng:\nh: [x, 2]\ni: {}\n1: k\n");
    CHECK(value == json{{"a", 5},
                        {"b", "5"},
                        {"c", true},
                        {"d", "yes"},
                        {"e", "22.04"},
                        {"f", "007"},
                        {"g", nullptr},
                        {"h", {"x", 2}},
                        {"i", json::object()},
                        {"1", "k"}});
}

TEST_CASE("R53: YAML bombs are refused") {
    for (const std::string& bad :
         {std::string{"a: &x [1]\nb: *x\n"}, std::string{"a: &x 1\n"}, std::string{"*x"}, nested(101, "[", "]"),
          nested(100'000, "[", "]"), nested(100'000, "- ", ""), std::string{"a: [1, 2"}, std::string{"a: b: c"},
          std::string{"\"\\0\""}, std::string(2 << 20, 'x'), std::string{"? [a, b]\n: c\n"}, std::string{"a\0b", 3}}) {
        CAPTURE(bad.substr(0, 40));
        CHECK_THROWS_AS(api::parse_yaml(bad), Error);
    }
}

TEST_CASE("R57: YAML that is not UTF-8 is refused") {
    for (const std::string bad :
         {"a: \xff", "\xff: a", "a: '\xc3'", "a: \"\xed\xa0\x80\"", "a: \xc0\xaf", "\xff\xfe-"}) {
        CAPTURE(bad);
        CHECK_THROWS_WITH_AS(api::parse_yaml(bad), "invalid YAML: not UTF-8", Error);
    }
    CHECK(api::parse_yaml("\xef\xbb\xbfk: \u00fc\U0001f600") == json{{"k", "\u00fc\U0001f600"}});
}

TEST_CASE("YAML survives the way out and back") {
    const json value = {{"text", "plain words"},
                        {"number", "5"},
                        {"bool", "true"},
                        {"yes", "yes"},
                        {"empty", ""},
                        {"lines", "a\nb\n"},
                        {"quote", "it's \"q\""},
                        {"colon", "a: b"},
                        {"hash", "a #b"},
                        {"n", 5},
                        {"t", true},
                        {"z", nullptr},
                        {"list", json::array({"a", json::object(), json::array()})},
                        {"date", "2024-01-01"},
                        {"neg", -7},
                        {"star", "*x"},
                        {"ä", "ö"},
                        {"map", {{"k", {{"l", "m"}}}}}};
    CHECK(api::parse_yaml(api::encode_yaml(value)) == value);
}

TEST_CASE("a map of texts takes scalars and refuses structures") {
    CHECK(api::to_string_map({{"a", 5}, {"b", true}, {"c", nullptr}, {"d", "x"}}) ==
          api::StringMap{{"a", "5"}, {"b", "true"}, {"c", ""}, {"d", "x"}});
    CHECK_THROWS_AS(api::to_string_map({{"a", json::array()}}), Error);
}
