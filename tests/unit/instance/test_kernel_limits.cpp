// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sys/resource.h>

#include "instance/kernel_limits.hpp"

using namespace lxdcore::instance;

TEST_CASE("the limits of a configuration are liblxc's names, one value or two") {
    const auto limits = kernel_limits("lxc.uts.name = x\n"
                                      "lxc.prlimit.nofile = 3000:4000\n"
                                      "lxc.environment = lxc.prlimit.core=1\n"
                                      "lxc.prlimit.core = 0\n"
                                      "lxc.prlimit.memlock = 100:unlimited\n");
    CHECK(limits == std::vector<KernelLimit>{
                        {RLIMIT_NOFILE, 3000, 4000}, {RLIMIT_CORE, 0, 0}, {RLIMIT_MEMLOCK, 100, RLIM_INFINITY}});
}

TEST_CASE("each resource has its name, and its number") {
    const char* const names[] = {"cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
                                 "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
    REQUIRE(std::size(names) == RLIM_NLIMITS);
    for (int number = 0; number < static_cast<int>(RLIM_NLIMITS); ++number) { // the kernel's order
        if (number == RLIMIT_NOFILE) CHECK(std::string{names[number]} == "nofile");
        const std::vector<KernelLimit> wanted{{number, 1, 2}};
        CHECK(kernel_limits(std::string{"lxc.prlimit."} + names[number] + " = 1:2") == wanted);
        CHECK(kernel_limits("lxc.prlimit." + std::to_string(number) + " = 1:2") == wanted);
    }
}

TEST_CASE("what liblxc does not take is no limit") {
    for (const char* line : {"nofile", "nofile =", "nofile = many", "nofile = 1:2:3", "nosuch = 1", "16 = 1", "-1 = 1",
                             "nofile = -1", "nofile = 99999999999999999999"})
        CHECK(kernel_limits(std::string{"lxc.prlimit."} + line).empty());
}
