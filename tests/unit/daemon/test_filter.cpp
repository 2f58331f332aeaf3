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
    CHECK(matches("status eq running and ephemeral eq false"));
    CHECK(matches("name eq db or status eq running"));
    CHECK_FALSE(matches("name eq web-1 or name eq db and status eq stopped"));
    CHECK(matches("config.user.role eq \"front end\""));
    CHECK(matches("config.image.os eq debian"));
    CHECK(matches("status_code eq 103"));
}

TEST_CASE("unknown fields match nothing, an unknown operator means equal") {
    CHECK_FALSE(matches("nosuch eq x"));
    CHECK_FALSE(matches("nosuch ne x"));
    CHECK_FALSE(matches("name.x eq y"));
    CHECK(matches("name zz web-1"));
    CHECK_FALSE(matches("name zz db"));
}

TEST_CASE("a bad filter is refused with LXD's words") {
    CHECK(refusal("foo") == "Invalid filter: clause has no operator");
    CHECK(refusal("name eq") == "Invalid filter: clause has no value");
    CHECK(refusal("not") == "Invalid filter: incomplete not clause");
    CHECK(refusal("name eq x xor name eq y") == "Invalid filter: invalid clause composition");
    CHECK(refusal("name eq x and") == "Invalid filter: unterminated compound clause");
    CHECK(refusal("name eq \"x") == "Invalid filter: unterminated quote");
}

TEST_CASE("expressions cannot be made to cost much") {
    CHECK(refusal("name eq (a{1000}){1000}") != "");
    CHECK(refusal("name eq ((a{99}){99}){99}") != "");
    CHECK(refusal("name eq a{99999999999999999999}") != "");
    CHECK(refusal("name eq [" + std::string(2000, 'a')) != "");
    CHECK(refusal("name eq (") != "");
    CHECK_FALSE(matches("name eq a{3}"));
}
