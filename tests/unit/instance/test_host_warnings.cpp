// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "db/warning_list.hpp"
#include "instance/host_warnings.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;
using enum db::WarningType;

namespace {

/// Numbers of the types that something is said about.
std::vector<int> types(const std::map<db::WarningType, std::string>& problems) {
    std::vector<int> out;
    for (const auto& [type, problem] : problems)
        if (!problem.empty()) out.push_back(static_cast<int>(type));
    return out;
}

} // namespace

TEST_CASE("a host without controllers lacks everything, with LXD's words") {
    const auto problems = host_problems(CgroupLayout{{}}, "no AppArmor");
    CHECK(types(problems) == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14});
    CHECK(problems.at(NoCgroupMemory) == "memory limits will be ignored");
    CHECK(problems.at(NoCgroupDevices) == "device access control won't work");
    CHECK(problems.at(AppArmorDisabled) == "no AppArmor");
}

TEST_CASE("what cgroup2 does without a controller is not missed, and swap is looked for where it is counted") {
    test::TempDir dir;
    const CgroupLayout v2{{{dir.path().string(), {"io", "cpu", "cpuset", "memory", "pids", "hugetlb"}, true}}};
    CHECK(types(host_problems(v2, "")) == std::vector<int>{10});
    test::write_file(dir / "cgroup.procs", ""); // no group
    test::write_file(dir / "system.slice/memory.max", "max");
    CHECK(types(host_problems(v2, "")) == std::vector<int>{10, 12});
    test::write_file(dir / "system.slice/memory.swap.max", "max");
    CHECK(types(host_problems(v2, "")) == std::vector<int>{10});

    const CgroupLayout v1{{{dir.path().string(), {"memory"}, false}}};
    CHECK(host_problems(v1, "").at(NoSwapAccounting) == "swap limits will be ignored");
    test::write_file(dir / "memory.memsw.limit_in_bytes", "");
    CHECK(host_problems(v1, "").at(NoSwapAccounting).empty());
}

TEST_CASE("a warning about the host is one row, counted, and settled when its cause is gone") {
    const auto global = test::memory_global();
    const auto rows = [&] {
        return global->read_value([](db::Transaction& tx) { return db::WarningList{}.all(tx, ""); });
    };
    note_host_problems(*global, {{NoCgroupPids, ""}});
    CHECK(rows().empty());
    note_host_problems(*global, {{NoCgroupPids, "none"}, {AppArmorDisabled, ""}});
    note_host_problems(*global, {{NoCgroupPids, "none"}, {AppArmorDisabled, ""}});
    REQUIRE(rows().size() == 1);
    const auto row = rows().front();
    CHECK(row.type == 11);
    CHECK(row.status == 1);
    CHECK(row.count == 2);
    CHECK(row.project.empty());
    CHECK(row.entity_url.empty());
    CHECK(row.last_message == "none");
    note_host_problems(*global, {{NoCgroupPids, ""}});
    CHECK(rows().front().status == 3);
    note_host_problems(*global, {{NoCgroupPids, "again"}});
    CHECK(rows().front().status == 1);
}
