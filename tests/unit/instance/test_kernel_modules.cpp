// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "instance/kernel_modules.hpp"
#include "util/dir.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

TEST_CASE("modules that the kernel has are not loaded again") {
    const auto known = Dir::open("/sys/module").list();
    REQUIRE_FALSE(known.empty());
    CHECK_NOTHROW(load_kernel_modules(known.front() + " , ," + known.back()));
    CHECK_NOTHROW(load_kernel_modules(""));
}

TEST_CASE("what cannot be loaded is an error that names it") {
    CHECK_THROWS_WITH_AS(load_kernel_modules("no_such_module_here"),
                         doctest::Contains("Failed to load kernel module 'no_such_module_here'"), Error);
}

TEST_CASE("options and paths are no names of modules (R6)") {
    for (const char* name : {"-r", "--show-depends", "../x", "/lib/modules/x.ko", "a b", "a;b", "a\nb"}) {
        CAPTURE(name);
        CHECK_THROWS_WITH_AS(load_kernel_modules(name), doctest::Contains("Invalid name of a kernel module"), Error);
    }
}
