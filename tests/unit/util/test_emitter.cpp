// SPDX-License-Identifier: Apache-2.0
#include "util/emitter.hpp"

#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

using namespace lxdcore;

TEST_CASE("lines come out as they went in") {
    Emitter out;
    out.pair("lxc.uts.name", "c1").fields({"00:16:3e:00:00:01", "10.0.0.2", "c1"}, ',').line("# made by lxdcore");
    out.pair("lxc.environment", "A=b c");
    CHECK(out.text() ==
          "lxc.uts.name = c1\n00:16:3e:00:00:01,10.0.0.2,c1\n# made by lxdcore\nlxc.environment = A=b c\n");
}

TEST_CASE("no control character gets into a key, a value, a field or a line") {
    for (int byte = 0; byte < 256; ++byte) {
        if (byte >= 0x20 && byte != 0x7f) continue;
        const auto bad = std::string{"a"} + static_cast<char>(byte) + "b";
        CAPTURE(byte);
        Emitter out;
        CHECK_THROWS_AS(out.pair(bad, "value"), Error);
        CHECK_THROWS_AS(out.pair("key", bad), Error);
        CHECK_THROWS_AS(out.fields({"good", bad}, ','), Error);
        CHECK_THROWS_AS(out.line(bad), Error);
        CHECK(out.text().empty());
    }
}

TEST_CASE("a value cannot become a second line of configuration") {
    Emitter out;
    try {
        out.pair("lxc.environment", "x\nlxc.hook.start-host = /bin/touch /p");
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::InvalidArgument);
    }
    CHECK(out.text().empty());
}

TEST_CASE("a key cannot smuggle in its own value, a field no separator") {
    Emitter out;
    CHECK_THROWS_AS(out.pair("lxc.uts.name = x", "y"), Error);
    CHECK_THROWS_AS(out.pair("", "y"), Error);
    CHECK_THROWS_AS(out.fields({"a,b"}, ','), Error);
    CHECK(out.text().empty());
}
