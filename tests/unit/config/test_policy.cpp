// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/caller.hpp>
#include <lxdcore/error.hpp>

#include "config/policy.hpp"

using namespace lxdcore;

namespace {

Caller limited() { return {.username = "c0ffee", .protocol = "tls", .address = "192.0.2.1:5", .admin = false}; }

constexpr const char* kKeys[] = {"raw.lxc",
                                 "raw.idmap",
                                 "raw.apparmor",
                                 "raw.seccomp",
                                 "raw.something-new",
                                 "linux.kernel_modules",
                                 "security.idmap.base",
                                 "security.syscalls.intercept.mount"};

} // namespace

TEST_CASE("only administrators set, change or take away what reaches beyond a container (R14, R22)") {
    const CallerScope scope{limited()};
    for (const char* key : kKeys) {
        CAPTURE(key);
        CHECK_THROWS_AS(config::check_policy({}, {{key, "x"}}), Error);
        CHECK_THROWS_AS(config::check_policy({{key, "x"}}, {{key, "y"}}), Error);
        CHECK_THROWS_AS(config::check_policy({{key, "x"}}, {}), Error);
    }
}

TEST_CASE("what an administrator has set stays when others change something else") {
    const CallerScope scope{limited()};
    for (const char* key : kKeys) {
        CAPTURE(key);
        CHECK_NOTHROW(config::check_policy({{key, "x"}}, {{key, "x"}, {"limits.memory", "1GiB"}}));
        CHECK_NOTHROW(config::check_policy({}, {{key, ""}}));
    }
    CHECK_NOTHROW(config::check_policy({}, {{"security.idmap.isolated", "true"}, {"user.raw.lxc", "x"}}));
}

TEST_CASE("administrators and work of the server itself are free") {
    for (const char* key : kKeys)
        CHECK_NOTHROW(config::check_policy({}, {{key, "x"}}));
    const CallerScope scope{Caller{.username = "root"}};
    for (const char* key : kKeys)
        CHECK_NOTHROW(config::check_policy({}, {{key, "x"}}));
}
