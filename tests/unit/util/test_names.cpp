// SPDX-License-Identifier: Apache-2.0
#include "util/names.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include <lxdcore/error.hpp>

using namespace lxdcore;

namespace {

using Check = void (*)(std::string_view);

std::string text_of(Check check, const std::string& name) {
    try {
        check(name);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::InvalidArgument);
        return error.what();
    }
    return "";
}

const std::string no_name[] = {"",
                               ".",
                               "..",
                               "a/b",
                               "../../evil",
                               "a\\b",
                               "a\nb",
                               "a\rb",
                               std::string{"a\0b", 3},
                               "a\x7f",
                               "a\x1b[2J",
                               "\xff\xfe",
                               std::string(300, 'a')};

} // namespace

TEST_CASE("nothing that could become a path or a line is a name of any kind") {
    for (const Check check : {names::check_instance, names::check_profile, names::check_network, names::check_pool,
                              names::check_volume, names::check_device, names::check_project, names::check_log_file}) {
        for (const auto& name : no_name) {
            CAPTURE(name);
            CHECK_FALSE(text_of(check, name).empty());
        }
    }
}

TEST_CASE("instance names follow the rule of host names, with LXD's texts") {
    for (const std::string good : {"a", "c1", "A", "web-01", "a--b"})
        CHECK_NOTHROW(names::check_instance(good));
    CHECK_NOTHROW(names::check_instance(std::string(63, 'a')));
    const std::string prefix = "Invalid instance name: Name ";
    CHECK(text_of(names::check_instance, "") == prefix + "must be 1-63 characters long");
    CHECK(text_of(names::check_instance, std::string(64, 'a')) == prefix + "must be 1-63 characters long");
    CHECK(text_of(names::check_instance, "-a") == prefix + "must not start with \"-\" character");
    CHECK(text_of(names::check_instance, "a-") == prefix + "must not end with \"-\" character");
    CHECK(text_of(names::check_instance, "123") == prefix + "must not start with a number");
    CHECK(text_of(names::check_instance, "1abc") == prefix + "must not start with a number");
    for (const std::string bad : {"a.b", "a_b", "a b", "a%41", "é", ".", "a;b", "a$b", "a\nb"}) {
        CHECK(text_of(names::check_instance, bad) == prefix + "can only contain alphanumeric and hyphen characters");
    }
    CHECK(text_of(names::check_instance, "a/b") == "The character \"/\" is reserved for snapshots");
}

TEST_CASE("network names are names of interfaces") {
    for (const std::string good : {"lxdbr0", "br-1", "a_b", "12", "a.b"})
        CHECK_NOTHROW(names::check_network(good));
    CHECK(text_of(names::check_network, "") == "No name provided");
    CHECK(text_of(names::check_network, "a") == "Network interface is too short (minimum 2 characters)");
    CHECK(text_of(names::check_network, "1234567890123456") == "Network interface is too long (maximum 15 characters)");
    for (const std::string bad : {"a b", "a/b", "a:b", "a@b", "a\nb", "é1", ".."}) {
        CHECK(text_of(names::check_network, bad) == "Network interface contains invalid characters");
    }
}

TEST_CASE("profiles, pools, volumes and projects have LXD's texts") {
    CHECK(text_of(names::check_profile, "") == "No name provided");
    CHECK(text_of(names::check_profile, "a/b") == "Profile names may not contain slashes");
    CHECK(text_of(names::check_profile, "..") == "Invalid profile name \"..\"");
    CHECK(text_of(names::check_profile, "a\nb") == "Invalid profile name \"a\\nb\"");
    CHECK(text_of(names::check_pool, "a/b") == "Storage pool names may not contain slashes");
    CHECK(text_of(names::check_volume, "a/b") == "Storage volume names may not contain slashes");
    CHECK(text_of(names::check_project, "a/b") == "Project names may not contain slashes");
    CHECK(text_of(names::check_project, "a b") == "Project names may not contain spaces");
    CHECK(text_of(names::check_project, "a_b") == "Project names may not contain underscores");
    CHECK(text_of(names::check_project, ".") == "Invalid project name \".\"");
    CHECK_NOTHROW(names::check_profile("gui x:é"));
    CHECK_NOTHROW(names::check_pool("fast pool"));
}

TEST_CASE("an image alias may have slashes, but no control characters") {
    CHECK_NOTHROW(names::check_alias("debian/12/amd64"));
    CHECK(text_of(names::check_alias, "") == "name and target are required");
    for (const std::string bad : {"a\nb", "..", "a\\b", "\xc3"})
        CHECK_FALSE(text_of(names::check_alias, bad).empty());
}

TEST_CASE("only log files that LXD serves can be named") {
    for (const std::string good : {"lxc.log", "lxc.conf", "exec_1234.stdout", "migration_1"}) {
        CHECK_NOTHROW(names::check_log_file(good));
    }
    CHECK(text_of(names::check_log_file, "foo.log") == "log file name foo.log not valid");
    CHECK_FALSE(text_of(names::check_log_file, "exec_/../../lxc.log").empty());
}

TEST_CASE("a fingerprint is 64 lowercase hex digits, a prefix at least 12") {
    CHECK_NOTHROW(names::check_fingerprint(std::string(64, 'a')));
    CHECK_NOTHROW(names::check_fingerprint_prefix("0123456789ab"));
    CHECK_NOTHROW(names::check_fingerprint_prefix(std::string(64, '0')));
    for (const auto& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                            std::string(63, 'a') + "%", std::string(63, 'a') + "\n"}) {
        CHECK_FALSE(text_of(names::check_fingerprint, bad).empty());
    }
    for (const auto& bad : {std::string{}, std::string{"%"}, std::string{"0123456789a"}, std::string{"0123456789a%"},
                            std::string{"0123456789a_"}, std::string(65, 'a')}) {
        CHECK_FALSE(text_of(names::check_fingerprint_prefix, bad).empty());
    }
}

TEST_CASE("what can be no fingerprint at all names no image") {
    for (const std::string other : {"busybox", "../0123456789", "0123456789ax"})
        try {
            names::check_fingerprint_prefix(other);
            FAIL(other);
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::NotFound);
        }
}

TEST_CASE("a configuration key has no control character, blank or equals sign") {
    for (const std::string good : {"limits.memory", "user.é", "environment.A"})
        CHECK_NOTHROW(names::check_config_key(good));
    for (const std::string bad : {"", "a b", "a=b", "a\nb", "a\tb", "\xff"}) {
        CHECK_FALSE(text_of(names::check_config_key, bad).empty());
    }
}

TEST_CASE("UTF-8 is checked strictly") {
    for (const std::string good : {"", "a", "é", "€", "😀"})
        CHECK(names::is_utf8(good));
    for (const std::string bad :
         {"\xff", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80"}) {
        CHECK_FALSE(names::is_utf8(bad));
    }
    CHECK_FALSE(names::is_utf8(std::string_view{"a\0", 2}));
}
