// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include <lxdcore/error.hpp>

#include "device/device.hpp"

using namespace lxdcore;
using namespace lxdcore::device;

namespace {

/// One managed bridge, "br0", with another instance on it.
class FakeNetworks final : public network::NetworkManager {
public:
    std::vector<api::Network> list(const std::string&) const override { return {}; }
    std::vector<std::string> names(const std::string&) const override { return {}; }
    api::Network get(const std::string&, const std::string&) const override { return {}; }
    void create(const std::string&, const api::NetworksPost&) override {}
    void update(const std::string&, const std::string&, const api::NetworkPut&, const std::string&) override {}
    void patch(const std::string&, const std::string&, const api::NetworkPatch&, const std::string&) override {}
    void rename(const std::string&, const std::string&, const std::string&) override {}
    void remove(const std::string&, const std::string&) override {}
    std::vector<api::NetworkLease> leases(const std::string&, const std::string&) const override { return {}; }
    api::NetworkState state(const std::string&, const std::string&) const override { return {}; }
    void start() override {}
    void stop() noexcept override {}
    void stop_all() override {}
    std::string bridge_of(const std::string&, const std::string& name) const override { return name; }
    unsigned mtu_of(const std::string&, const std::string&) const override { return 1400; }
    bool is_managed(const std::string&, const std::string& name) const override { return name == "br0"; }
    api::StringMap config_of(const std::string&, const std::string&) const override { return config; }
    std::vector<network::NicRecord> nics_on(const std::string&) const override {
        return {{"default", "other", "eth0", "00:16:3e:00:00:09", "10.0.0.9", ""}};
    }
    void set_nic(const std::string&, const network::NicRecord& nic) override { announced.push_back(nic); }
    void remove_nic(const std::string&, const network::NicRecord&) override {}
    void limit_incoming(const std::string&, std::uint64_t) override {}

    api::StringMap config{{"ipv4.address", "10.0.0.1/24"}, {"ipv6.address", "none"}};
    std::vector<network::NicRecord> announced;
};

struct World {
    FakeNetworks networks;
    api::StringMap config;
    api::Devices devices;
    IdMap idmap;
    Logger log{};

    Target target() {
        // No device here asks the storage for anything.
        auto* pools = reinterpret_cast<storage::StorageManager*>(&log);
        return {.project = "default",
                .instance = "c1",
                .expanded_config = config,
                .expanded_devices = devices,
                .idmap = idmap,
                .devices_path = "/nonexistent",
                .network = networks,
                .storage = *pools,
                .log = log};
    }
    std::string refusal(const api::Device& device) {
        devices["d"] = device;
        try {
            const auto made = make_device("d", device);
            made->validate(target(), false);
            made->added(target(), {});
        } catch (const Error& e) {
            return e.what();
        }
        return "accepted";
    }
};

api::Device nic(api::Device more) {
    more.insert({{"type", "nic"}, {"network", "br0"}});
    return more;
}
api::Device disk(api::Device more) {
    more.insert({"type", "disk"});
    return more;
}

} // namespace

TEST_CASE("devices that LXD refuses are refused with its texts") {
    const struct {
        api::Device device;
        const char* text;
    } table[] = {
        {{{"type", "nic"}}, "Failed loading device \"d\": Unsupported device type"},
        {{{"type", "foo"}}, "Invalid device type foo"},
        {{{"type", "nic"}, {"nictype", "bridged"}}, "Invalid value for device option \"parent\": Required value"},
        {{{"type", "nic"}, {"network", "nope"}},
         "Failed loading device \"d\": Failed to load network \"nope\" for project \"default\": Network not found"},
        {nic({{"parent", "br0"}}), "Cannot use \"parent\" property in conjunction with \"network\" property"},
        {nic({{"nictype", "bridged"}}), "Cannot use \"nictype\" property in conjunction with \"network\" property"},
        {nic({{"mtu", "1400"}}), "Cannot use \"mtu\" property in conjunction with \"network\" property"},
        {nic({{"ipv4.address", "1.2.3.4"}}), "Device IP address \"1.2.3.4\" not within network \"br0\" subnet"},
        {nic({{"ipv4.address", "10.0.0.1"}}),
         "IP address \"10.0.0.1\" is assigned to parent managed network device \"br0\""},
        {nic({{"ipv6.address", "fd42::4"}}),
         "Cannot specify \"ipv6.address\" when DHCP or \"ipv6.dhcp.stateful\" are disabled (unless using "
         "security.ipv6_filtering) on network \"br0\""},
        {nic({{"ipv4.address", "10.0.0.9"}}), "IP address \"10.0.0.9\" already defined on another NIC"},
        {nic({{"hwaddr", "00:16:3E:00:00:09"}}), "MAC address \"00:16:3e:00:00:09\" already defined on another NIC"},
        {nic({{"ipv4.address", "10.0.0.8"}}), "accepted"},
        {{{"type", "nic"}, {"nictype", "bridged"}, {"parent", "eth9"}, {"ipv4.address", "10.0.0.8"}},
         "Cannot use manually specified ipv4.address when using unmanaged parent bridge"},
        {disk({}), "Disk entry is missing the required \"source\" or \"path\" property"},
        {disk({{"path", "/mnt"}}), "Disk entry is missing the required \"source\" or \"path\" property"},
        {disk({{"path", "/"}, {"source", "/tmp"}}), "Root disk entry may not have a \"source\" property set"},
        {disk({{"path", "/"}}), "Root disk entry must have a \"pool\" property set"},
        {disk({{"source", "tmp"}, {"path", "/mnt"}}), "Source path must be absolute for local sources"},
        {disk({{"source", "/tmp"}, {"path", "/mnt"}, {"pool", "p"}}),
         "Storage volumes cannot be specified as absolute paths"},
        {disk({{"source", "/tmp"}, {"path", "/mnt"}, {"size", "1GB"}}), "Only the root disk may have a size quota"},
        {disk({{"source", "/tmp"}, {"path", "/mnt"}, {"required", "true"}, {"optional", "true"}}),
         "Cannot use both \"required\" and deprecated \"optional\" properties at the same time"},
        {disk({{"source", "/nonexistent"}, {"path", "/mnt"}}), "Missing source path \"/nonexistent\" for disk \"d\""},
        {disk({{"source", "/nonexistent"}, {"path", "/mnt"}, {"required", "false"}}), "accepted"},
        {disk({{"source", "/tmp"}, {"path", "/mnt/../../x"}}), "Invalid path \"/mnt/../../x\" for disk"},
        {disk({{"source", "/tmp"}, {"path", "/mnt"}, {"raw.mount.options", "dev,upperdir=/x"}}),
         "Mount option \"dev\" is not allowed for disk \"d\""},
        {{{"type", "none"}}, "accepted"},
    };
    for (const auto& row : table)
        CHECK(World{}.refusal(row.device) == row.text);
}

TEST_CASE("filters that are not built are refused, never silently absent") {
    for (const char* key :
         {"security.mac_filtering", "security.ipv4_filtering", "security.ipv6_filtering", "security.port_isolation"}) {
        CHECK(World{}.refusal(nic({{key, "true"}})).find("is not supported by this server") != std::string::npos);
        CHECK(World{}.refusal(nic({{key, "false"}})) == "accepted");
    }
}

TEST_CASE("a bridged NIC tells liblxc everything, and its network before the start") {
    World world;
    world.devices = {{"eth0", {{"type", "nic"}, {"nictype", "p2p"}}}, {"eth5", nic({})}};
    const auto device = make_device("eth5", nic({}));
    const Volatile current =
        device->added(world.target(), {}).empty() ? Volatile{} : Volatile{{"hwaddr", "00:16:3e:00:00:05"}};
    Rollback undo;
    const StartPlan plan = device->start(world.target(), current, undo);
    REQUIRE(plan.nic.has_value());
    const std::string host_name = plan.set.at("host_name");
    CHECK(host_name.size() == 12);
    CHECK(host_name.starts_with("veth"));
    CHECK(plan.set.at("name") == "eth1"); // eth0 is taken by the unnamed NIC before it
    CHECK(*plan.nic == NicItems{{"type", "veth"},
                                {"link", "br0"},
                                {"veth.pair", host_name},
                                {"name", "eth1"},
                                {"hwaddr", "00:16:3e:00:00:05"},
                                {"mtu", "1400"},
                                {"flags", "up"}});
    REQUIRE(world.networks.announced.size() == 1);
    CHECK(world.networks.announced[0].mac == "00:16:3e:00:00:05");
    undo.commit();
}

TEST_CASE("exactly one root disk") {
    const api::Device root{{"type", "disk"}, {"path", "/"}, {"pool", "default"}};
    CHECK(root_disk({{"root", root}}) == "root");
    CHECK_THROWS_WITH_AS(root_disk({}), "No root device could be found", Error);
    CHECK_THROWS_WITH_AS(root_disk({{"a", root}, {"b", root}}), "More than one root device found", Error);
}
