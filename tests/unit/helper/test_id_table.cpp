// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "helper/id_table.hpp"

using lxdcore::helper::IdTable;
using lxdcore::helper::kGids;
using lxdcore::helper::kUids;

TEST_CASE("without a table ids on disk are those inside") {
    const IdTable table;
    CHECK(table.inside(kUids, 1000) == 1000);
    CHECK(table.on_disk(kUids, 1000) == 1000u);
    CHECK_FALSE(table.on_disk(kUids, -1));
    CHECK_FALSE(table.on_disk(kUids, 0xffffffff)); // means "leave it" to chown
}

TEST_CASE("a table says for each kind what an id is on the other side") {
    const IdTable table{nlohmann::json::parse("[[1,100000,0,65536],[2,200000,0,1000]]")};
    CHECK(table.inside(kUids, 100000) == 0);
    CHECK(table.inside(kUids, 165535) == 65535);
    CHECK(table.inside(kUids, 165536) == 65534);
    CHECK(table.inside(kUids, 0) == 65534);
    CHECK(table.on_disk(kUids, 65535) == 165535u);
    CHECK_FALSE(table.on_disk(kUids, 65536));
    CHECK(table.on_disk(kGids, 999) == 200999u);
    CHECK_FALSE(table.on_disk(kGids, 1000));
}
