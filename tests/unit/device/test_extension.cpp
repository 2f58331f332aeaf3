// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"
#include "device/extension.hpp"

using namespace lxdcore;
using namespace lxdcore::device;

namespace {

/// Mounts what it is told and remembers what it was asked.
class Told final : public DeviceType {
public:
    std::vector<std::string> keys() const override { return {"path"}; }
    void validate(const DeviceRequest& device) const override {
        if (!device.config.contains("path")) throw Error{ErrorCode::InvalidArgument, "no path"};
    }
    DeviceStart start(const DeviceRequest& device) override {
        asked.push_back("start " + device.instance + "/" + device.name);
        return {.mounts = {mount}, .remember = {{"id", "7"}}};
    }
    void stopped(const DeviceRequest& device) override {
        asked.push_back("stopped " + device.instance + "/" + device.name);
    }
    DeviceMount mount{"/host/file", "/run/file"};
    std::vector<std::string> asked;
};

struct World {
    std::shared_ptr<Told> type = std::make_shared<Told>();
    AddedTypes added{{{"told", type}}, {{"told", {"path"}}}};
    api::StringMap config;
    api::Devices devices;
    IdMap idmap;
    Logger log{};

    Target target() {
        // No device here asks for anything.
        return {.project = "default",
                .instance = "c1",
                .expanded_config = config,
                .expanded_devices = devices,
                .idmap = idmap,
                .devices_path = "/nonexistent",
                .network = *reinterpret_cast<network::NetworkManager*>(&log),
                .storage = *reinterpret_cast<storage::StorageManager*>(&log),
                .log = log};
    }
    std::unique_ptr<Device> make(api::Device more = {{"path", "/x"}}) {
        more["type"] = "told";
        return make_device(added, "d", more);
    }
};

std::string refusal(const api::Devices& devices, const config::AddedDevices& added) {
    try {
        config::validate_devices(devices, added);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE_FIXTURE(World, "a device of an added type brings its mounts and what is to be remembered") {
    Rollback undo;
    const auto plan = make()->start(target(), {}, undo);
    undo.commit();
    REQUIRE(plan.mounts.size() == 1);
    CHECK(plan.mounts[0].source == "/host/file");
    CHECK(plan.mounts[0].target == "run/file");
    CHECK(plan.set.at("id") == "7");
    CHECK(type->asked == std::vector<std::string>{"start c1/d"});
}

TEST_CASE_FIXTURE(World, "a start that fails later is taken back") {
    { // nothing is committed
        Rollback undo;
        const auto device = make();
        (void)device->start(target(), {}, undo);
    }
    CHECK(type->asked == std::vector<std::string>{"start c1/d", "stopped c1/d"});
}

TEST_CASE_FIXTURE(World, "mounts that leave the instance or break a line are refused, and the device is stopped") {
    for (const auto& bad : {DeviceMount{"/a", "../b"}, DeviceMount{"/a", "/b/../../c"}, DeviceMount{"/a\n", "/b"},
                            DeviceMount{"/a", "/b", "none", {"ro\nlxc.hook = x"}}, DeviceMount{"", "/b"}}) {
        type->mount = bad;
        type->asked.clear();
        {
            Rollback undo;
            const auto device = make();
            CHECK_THROWS_AS((void)device->start(target(), {}, undo), Error);
        }
        CHECK(type->asked.back() == "stopped c1/d");
    }
}

TEST_CASE_FIXTURE(World, "a type decides about its configuration, and other types are the built-in ones") {
    CHECK_THROWS_AS(make({})->validate(target(), false), Error);
    make()->validate(target(), false);
    CHECK_THROWS_AS((void)make_device(added, "d", {{"type", "strange"}}), Error);
    CHECK(make_device(added, "d", {{"type", "none"}}) != nullptr);
    CHECK_THROWS_AS((void)make()->plug(target(), {}), Error);
}

TEST_CASE("keys of added types are those that they name") {
    const config::AddedDevices added{{"told", {"path"}}};
    CHECK(refusal({{"d", {{"type", "told"}, {"path", "/x"}}}}, added) == "accepted");
    CHECK(refusal({{"d", {{"type", "told"}, {"other", "x"}}}}, added) ==
          "Device validation failed for \"d\": Invalid device option \"other\"");
    CHECK(refusal({{"d", {{"type", "told"}, {"path", "/x\ny"}}}}, added) != "accepted");
    CHECK(refusal({{"d", {{"type", "strange"}}}}, added) != "accepted");
    CHECK(refusal({{"d", {{"type", "none"}}}}, added) == "accepted");
    CHECK(refusal({{"d", {{"type", "told"}, {"path", "/x"}}}}, {}) != "accepted");
}
