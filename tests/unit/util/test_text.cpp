// SPDX-License-Identifier: Apache-2.0
#include "util/text.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>

#include <lxdcore/caller.hpp>
#include <lxdcore/error.hpp>

using namespace lxdcore;

TEST_CASE("sizes are read as LXD reads them") {
    CHECK(text::parse_bytes("") == 0);
    CHECK(text::parse_bytes("12") == 12);
    CHECK(text::parse_bytes("12B") == 12);
    CHECK(text::parse_bytes("1kB") == 1000);
    CHECK(text::parse_bytes("1KiB") == 1024);
    CHECK(text::parse_bytes("64MiB") == 64 << 20);
    CHECK(text::parse_bytes("1EB") == 1'000'000'000'000'000'000);
    for (const std::string bad : {"-1", "1.5GB", "1 GB", "B", "1K", "1KB", "5b", "x", "1GBx", "+1"}) {
        CAPTURE(bad);
        CHECK_THROWS_WITH_AS(text::parse_bytes(bad), ("Invalid value: " + bad).c_str(), Error);
    }
    CHECK_THROWS_WITH_AS(text::parse_bytes("9999999999999999GB"),
                         "Overflow multiplying 9999999999999999 with 1000000000", Error);
}

TEST_CASE("texts are split, joined and trimmed") {
    CHECK(text::split("", ',').empty());
    CHECK(text::split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
    CHECK(text::join({"a", "b"}, ", ") == "a, b");
    CHECK(text::trim(" \t a b\n") == "a b");
    CHECK(text::trim(" \n").empty());
    CHECK(text::parse_int("-5") == -5);
    CHECK_FALSE(text::parse_int("5x"));
    CHECK_FALSE(text::parse_int(""));
    CHECK_FALSE(text::parse_int("99999999999999999999"));
}

TEST_CASE("quoting is Go's") {
    CHECK(text::quote("a\"b\\c\nd") == R"("a\"b\\c\nd")");
    CHECK(text::quote("é\x01\xff") == "\"é\\x01\\xff\"");
    CHECK(text::quote("\u200b") == "\"\\u200b\"");
}

TEST_CASE("digests, secrets and base64") {
    CHECK(text::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(text::random_hex(32).size() == 64);
    CHECK(text::random_hex(32) != text::random_hex(32));
    const auto uuid = text::uuid4();
    CHECK(uuid.size() == 36);
    CHECK(uuid[14] == '4');
    CHECK(text::equal_constant_time("abc", "abc"));
    CHECK_FALSE(text::equal_constant_time("abc", "abd"));
    CHECK_FALSE(text::equal_constant_time("abc", "abcd"));
    for (const std::string plain : {"", "a", "ab", "abc", "abcd"})
        CHECK(text::base64_decode(text::base64(plain)) == plain);
    CHECK(text::base64("ab") == "YWI=");
    for (const std::string bad : {"a", "YWI", "Y=I=", "====", "YW!="})
        CHECK_FALSE(text::base64_decode(bad));
}

TEST_CASE("an errno becomes the right kind of error with its text") {
    try {
        throw_errno("open x", ENOENT);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::NotFound);
        CHECK(std::string{error.what()} == "open x: No such file or directory");
    }
    CHECK_THROWS_WITH_AS(throw_errno("write", ENOSPC), "write: No space left on device", Error);
}

TEST_CASE("callers nest and end with their scope") {
    CHECK_FALSE(CallerScope::present());
    {
        const CallerScope outer{Caller{"a", "tls", "1.2.3.4", false}};
        {
            const CallerScope inner{Caller{"b", "unix", "@", true}};
            CHECK(CallerScope::current().username == "b");
        }
        CHECK(CallerScope::current().username == "a");
    }
    CHECK_FALSE(CallerScope::present());
}
