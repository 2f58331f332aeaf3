// SPDX-License-Identifier: Apache-2.0
#include "unit/storage/driver_fixture.hpp"

#include "storage/program_drivers.hpp"

using namespace lxdcore;
using test::Calls;

namespace {

struct Fixture {
    Logger log;
    std::shared_ptr<test::FakeTools> tools = std::make_shared<test::FakeTools>(log);
    test::FakeHost host{tools};
    std::vector<std::string> names() {
        std::vector<std::string> result;
        for (const auto& driver : storage::program_drivers(*tools, host))
            result.push_back(driver.name + " " + driver.version + (driver.remote ? " remote" : ""));
        return result;
    }
};

} // namespace

TEST_CASE_FIXTURE(Fixture, "a driver without its kernel part is not offered, and no program is asked") {
    CHECK(names().empty());
    CHECK(tools->take().empty());
}

TEST_CASE_FIXTURE(Fixture, "a driver without its programs is not offered, and no program is asked") {
    host.modules = {"zfs", "dm_mod", "rbd", "ceph"};
    tools->missing = {{"zpool", true}, {"lvm", true}, {"rbd", true}};
    CHECK(names().empty());
    CHECK(tools->take().empty());
}

TEST_CASE_FIXTURE(Fixture, "drivers are offered with the versions that LXD tells") {
    host.modules = {"dm_mod", "rbd", "ceph"};
    host.loadable = {"zfs"};
    tools->answer("lvm version",
                  "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185 (2022-05-18)\n"
                  "  Driver version:  4.48.0\n  Configuration:   ./configure\n");
    tools->answer("rbd --version",
                  "ceph version 16.2.11 (3cf40e2dca667f68c6ce3ff5cd94f01e711af894) pacific (stable)\n");
    CHECK(names() == Calls{"ceph 16.2.11 remote", "cephfs 16.2.11 remote",
                           "lvm 2.03.16(2) (2022-05-18) / 1.02.185 (2022-05-18) / 4.48.0", "zfs 2.1.11-1"});
    CHECK(tools->take() == Calls{"rbd --version", "rbd --version", "lvm version", "modprobe -b zfs"});
    tools->fail("lvm version");
    CHECK(names().size() == 3);
}
