// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "http/error_mapping.hpp"
#include "routes/filter.hpp"

using lxdcore::daemon::Filter;
using lxdcore::daemon::HttpError;

namespace {

const nlohmann::json kInstance = {{"name", "web-1"},
                                  {"status", "Running"},
                                  {"ephemeral", false},
                                  {"status_code", 103},
                                  {"config", {{"user.role", "front end"}, {"image.os", "debian"}}}};

bool matches(const char* text) { return Filter::parse(text).matches(kInstance); }

std::string refusal(const std::string& text) {
    try {
        Filter::parse(text).matches(kInstance);
    } catch (const HttpError& error) {
        CHECK(error.status() == 500);
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("clauses are joined from left to right") {
    CHECK(matches(""));
    CHECK(matches("name eq web-1"));
    CHECK(matches("name eq WEB-.*"));
    CHECK_FALSE(matches("name eq web"));
    CHECK(matches("name ne db"));
    CHECK(matches("not name eq db"));
    CHECK(matches("status eq running and ephemeral ne true"));
    CHECK(matches("name eq db or status eq running"));
    CHECK_FALSE(matches("name eq web-1 or name eq db and status eq stopped"));
    CHECK(matches("config.user.role eq \"front end\""));
    CHECK(matches("config.image.os eq debian"));
    CHECK(matches("name\teq   web-1"));
    CHECK(matches("NOT name eq db"));
}

TEST_CASE("what is not there or no text equals nothing, an unknown operator means equal") {
    for (const auto* field : {"nosuch", "nosuch.x", "config.nosuch", "config", "status_code", "ephemeral"}) {
        CAPTURE(field);
        CHECK_FALSE(matches((std::string{field} + " eq 103").c_str()));
        CHECK_FALSE(matches((std::string{field} + " eq false").c_str()));
        CHECK(matches((std::string{field} + " ne x").c_str()));
        CHECK(matches((std::string{"not "} + field + " eq x").c_str()));
    }
    CHECK_FALSE(matches("name.x eq y"));
    CHECK(matches("name zz web-1"));
    CHECK(matches("name Ne web-1"));
    CHECK_FALSE(matches("name zz db"));
}

TEST_CASE("patterns are those of Go, for whole texts") {
    for (const auto* pattern : {"web-\\d", "WEB-[0-9]", "(?:web)-1", "(?i)web-1", "w.+?1", ".*1", "\\bweb-1", "web-1$",
                                "^web.*", "web|web-1", "\\w+-1", "web-[[:digit:]]", "web\\-1", "web-1{1}"}) {
        CAPTURE(pattern);
        CHECK(matches((std::string{"name eq "} + pattern).c_str()));
        CHECK_FALSE(matches((std::string{"name ne "} + pattern).c_str()));
    }
    for (const auto* pattern :
         {"web", "eb-1", "web-\\D", "[", "(", "web-(1", "(w)\\1", "*", "(?P<x>web-1)", "web-1\\"}) {
        CAPTURE(pattern);
        CHECK_FALSE(matches((std::string{"name eq "} + pattern).c_str()));
        CHECK(matches((std::string{"name ne "} + pattern).c_str()));
    }
}

TEST_CASE("a bad filter is refused with LXD's words") {
    CHECK(refusal("foo") == "Invalid filter: clause has no operator");
    CHECK(refusal("name eq") == "Invalid filter: clause has no value");
    CHECK(refusal("not") == "Invalid filter: incomplete not clause");
    CHECK(refusal("name eq x xor name eq y") == "Invalid filter: invalid clause composition");
    CHECK(refusal("name eq x and") == "Invalid filter: unterminated compound clause");
    CHECK(refusal("name eq \"x") == "Invalid filter: unterminated quote");
    CHECK(refusal("name eq \"web-1\"") == "Invalid filter: unterminated quote"); // quotes are for several words
    CHECK(refusal("not not name eq x") == "Invalid filter: invalid clause composition");
    CHECK(refusal("name eq x AND name eq y") == "Invalid filter: invalid clause composition");
    CHECK_THROWS_WITH(Filter::parse("x", "Failed to filter warnings"),
                      "Failed to filter warnings: clause has no operator");
}

TEST_CASE("expressions cannot be made to cost much") {
    CHECK(refusal("name eq (a{1000}){1000}") != "");
    CHECK(refusal("name eq ((a{99}){99}){99}") != "");
    CHECK(refusal("name eq a{99999999999999999999}") != "");
    CHECK(refusal("name eq [" + std::string(2000, 'a')) != "");
    CHECK_FALSE(matches("name eq a{3}"));
}
