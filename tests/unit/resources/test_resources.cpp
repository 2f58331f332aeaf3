// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "resources/resources.hpp"
#include "resources/sysfs.hpp"

using namespace lxdcore;

TEST_CASE("the processors of this machine are counted and each thread has a place") {
    const auto cpu = resources::cpu();
    std::size_t threads = 0;
    for (const auto& socket : cpu["sockets"])
        for (const auto& core : socket["cores"])
            threads += core["threads"].size();
    CHECK(threads > 0);
    CHECK(cpu["total"] == threads);
}

TEST_CASE("memory is there and not more is used than there is") {
    const auto memory = resources::memory();
    CHECK(memory["total"].get<std::int64_t>() > 0);
    CHECK(memory["used"].get<std::int64_t>() > 0);
    CHECK(memory["used"].get<std::int64_t>() <= memory["total"].get<std::int64_t>());
}

TEST_CASE("every kind is an object with its list and a count") {
    const auto all = resources::all();
    for (const auto& [kind, list] : {std::pair{"gpu", "cards"},
                                     {"network", "cards"},
                                     {"storage", "disks"},
                                     {"usb", "devices"},
                                     {"pci", "devices"}}) {
        CAPTURE(kind);
        REQUIRE(all[kind][list].is_array());
        CHECK(all[kind]["total"].get<std::size_t>() >= all[kind][list].size());
    }
    CHECK(all["system"].contains("type"));
}

TEST_CASE("what is absent in sysfs is empty, never an error") {
    CHECK(resources::Sysfs::text("sys/no/such").empty());
    CHECK(resources::Sysfs::list("sys/no/such").empty());
    CHECK(resources::Sysfs::number("sys/no/such", 7) == 7);
    CHECK(resources::Sysfs::link("sys/no/such/link").empty());
    CHECK(!resources::Sysfs::exists("sys/../../etc/passwd_"));
}
