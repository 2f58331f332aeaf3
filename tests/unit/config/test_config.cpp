// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <functional>

#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"

using namespace lxdcore;

namespace {

std::string failure(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::InvalidArgument);
        return error.what();
    }
    return "accepted";
}
std::string profile(const std::string& key, const std::string& value) {
    return failure([&] { config::validate_instance({{key, value}}, true); });
}
std::string instance(const std::string& key, const std::string& value) {
    return failure([&] { config::validate_instance({{key, value}}, false); });
}
std::string device(const api::Device& device, const std::string& name = "d") {
    return failure([&] { config::validate_devices({{name, device}}); });
}

} // namespace

TEST_CASE("every table is sorted, has a validator everywhere and valid defaults") {
    for (const auto table :
         {config::instance_keys(), config::server_keys(), config::bridge_keys(), config::pool_keys("dir"),
          config::pool_keys("btrfs"), config::pool_keys("ceph"), config::pool_keys("cephfs"), config::pool_keys("lvm"),
          config::pool_keys("zfs"), config::device_keys("disk"), config::device_keys("nic:bridged"),
          config::device_keys("nic:p2p"), config::device_keys("none")}) {
        REQUIRE(!table.empty());
        for (std::size_t i = 0; i < table.size(); ++i) {
            CAPTURE(table[i].name);
            if (i > 0) CHECK(table[i - 1].name < table[i].name);
            REQUIRE((table[i].validate != nullptr));
            if (!table[i].default_value.empty()) CHECK_NOTHROW(table[i].validate(table[i].default_value));
            CHECK(config::find(table, table[i].name.find('*') == std::string_view::npos
                                          ? std::string{table[i].name}
                                          : std::string{table[i].name.substr(0, table[i].name.find('*'))} + "x" +
                                                std::string{table[i].name.substr(table[i].name.find('*') + 1)}) !=
                  nullptr);
        }
    }
}

TEST_CASE("an unknown device type has no table") { CHECK(config::device_keys("floppy").empty()); }

TEST_CASE("bad values get LXD's texts") {
    CHECK(profile("boot.autostart", "maybe") == "Invalid value for a boolean \"maybe\"");
    CHECK(profile("boot.autostart.delay", "x") == "Invalid value for an integer \"x\"");
    CHECK(profile("boot.autostart.delay", "9223372036854775808") ==
          "Invalid value for an integer \"9223372036854775808\"");
    CHECK(profile("limits.cpu", "1-") == "Invalid CPU limit syntax");
    CHECK(profile("limits.cpu.allowance", "10ms") == "Invalid allowance: 10ms");
    CHECK(profile("limits.cpu.allowance", "1ms/2ms/3") == "strconv.Atoi: parsing \"2ms/3\": invalid syntax");
    CHECK(profile("limits.cpu.priority", "-1") == "Invalid value for a limit \"-1\". Must be between 0 and 10");
    CHECK(profile("limits.memory", "0") == "Memory limit can't be 0");
    CHECK(profile("limits.memory", "0%") == "Memory limit can't be 0%");
    CHECK(profile("limits.memory", "1.5GiB") == "Invalid value: 1.5GiB");
    CHECK(profile("limits.memory.enforce", "x") == "Invalid value \"x\" (not one of [soft hard])");
    CHECK(profile("security.idmap.base", "4294967296") ==
          "Invalid value for uint32 \"4294967296\": strconv.ParseUint: parsing \"4294967296\": value out of range");
    CHECK(profile("snapshots.expiry", "1d1d") == "Invalid expiry expression");
    CHECK(profile("snapshots.schedule", "99 * * * *") ==
          "Error parsing schedule: end of range (99) above maximum (59): 99");
    CHECK(profile("snapshots.schedule", "@foo") ==
          "Schedule must be of the form: <minute> <hour> <day-of-month> <month> <day-of-week>");
    CHECK(instance("volatile.uuid", "x") == "Invalid UUID");
    CHECK(profile("Limits.memory", "1GiB") == "Unknown configuration key: Limits.memory");
    CHECK(profile("limits.kernel", "1") == "Unknown configuration key: limits.kernel");
    CHECK(instance("volatile.foo", "x") == "Unknown configuration key: volatile.foo");
    CHECK(instance("raw.qemu", "x") == "Unknown configuration key: raw.qemu");
    CHECK(profile("volatile.foo", "x") == "Volatile keys can only be set on instances");
    CHECK(profile("image.os", "x") == "Image keys can only be set on instances");
}

TEST_CASE("good values of keys that are not served yet pass their own check") {
    for (const auto& [key, value] :
         std::vector<std::pair<std::string, std::string>>{{"snapshots.schedule", "@daily, @startup"},
                                                          {"snapshots.schedule", "*/5 0-3 1,15 jan mon"},
                                                          {"snapshots.expiry", "1M 2H 3d 4w 5m 6y"}})
        CHECK_NOTHROW(config::find(config::instance_keys(), key)->validate(value));
}

TEST_CASE("good values are accepted") {
    for (const auto& [key, value] :
         std::vector<std::pair<std::string, std::string>>{{"boot.autostart", "YES"},
                                                          {"limits.cpu", "0-3,5"},
                                                          {"limits.cpu", "4"},
                                                          {"limits.cpu.allowance", "50%"},
                                                          {"limits.cpu.allowance", "10ms/100ms"},
                                                          {"limits.memory", "512MiB"},
                                                          {"limits.memory", "50%"},
                                                          {"limits.kernel.nofile", "1000"},
                                                          {"user.", "x"},
                                                          {"cloud-init.user-data", "#cloud-config\nruncmd: [ls]\n"},
                                                          {"cloud-init.user-data", "#!/bin/sh\necho"},
                                                          {"limits.memory", ""},
                                                          {"raw.lxc", "# a comment\nlxc.mount.auto = proc\n"},
                                                          {"raw.qemu", "-s"},
                                                          {"nvidia.runtime", "false"}}) {
        CAPTURE(key);
        CHECK(profile(key, value) == "accepted");
    }
    CHECK(instance("volatile.eth0.1.hwaddr", "00:16:3e:00:00:01") == "accepted");
    CHECK(instance("image.os", "busybox") == "accepted");
}

TEST_CASE("R5, D5: control characters are refused in keys and in values that reach generated files") {
    CHECK(instance("environment.A", "x\nlxc.hook.start-host=/bin/touch /x") ==
          "Environment variables cannot contain line breaks");
    for (const char c : {'\n', '\r', '\0', '\x01', '\x1f', '\x7f', '\t'}) {
        const std::string bad{c};
        CHECK(instance("environment.A" + bad, "x") != "accepted");
        CHECK(instance("user.x" + bad, "x") != "accepted");
        CHECK(instance("environment.A", "x" + bad) != "accepted");
        CHECK(instance("linux.sysctl.a", "x" + bad) != "accepted");
        CHECK(instance("limits.kernel.nofile", "1" + bad) != "accepted");
        CHECK(instance("volatile.base_image", "x" + bad) != "accepted");
        CHECK(instance("snapshots.pattern", "x" + bad) != "accepted");
        CHECK(device({{"type", "disk"}, {"path", "/x" + bad}, {"source", "/tmp"}}) != "accepted");
        CHECK(device({{"type", "none"}, {"user.x", bad}}) != "accepted");
        CHECK(device({{"type", "none"}}, "d" + bad) != "accepted");
    }
    CHECK(instance("raw.lxc", "lxc.mount.auto = proc\r") != "accepted");
    CHECK(instance("user.x", "two\nlines\r\n") == "accepted");
    CHECK(instance("cloud-init.vendor-data", "a\nb") == "accepted");
    for (const auto& [text, what] :
         std::vector<std::pair<std::string, std::string>>{{"plain", "!!str `plain`"},
                                                          {"plainer than ten", "!!str `plainer...`"},
                                                          {"- 1", "!!seq"},
                                                          {"5", "!!int `5`"}})
        CHECK(instance("cloud-init.network-config", text) ==
              "yaml: unmarshal errors:\n  line 1: cannot unmarshal " + what + " into struct {}");
    CHECK(instance("user.x", "\xff") != "accepted");
}

TEST_CASE("R14: raw.lxc is read as liblxc reads it") {
    for (const auto* line : {"lxc.log.file=/x", "  LXC.Log.File = /x", "\tlxc.log.level=1", "lxc.logfile = /x",
                             "lxc.ephemeral=1", " Lxc.Ephemeral\t= 1", "lxc.prlimit.nofile = 1", "no equals sign",
                             "lxc.net.0.link = br0", "lxc.mount.auto=proc\nlxc.log.file=/x"}) {
        CAPTURE(line);
        CHECK(instance("raw.lxc", line) != "accepted");
    }
    CHECK(instance("raw.lxc", "lxc.net.0.ipv4.address = 10.0.0.1") == "accepted");
}

TEST_CASE("keys that nobody applies are refused, not kept in silence") {
    CHECK(profile("nvidia.runtime", "true").find("not supported") != std::string::npos);
    CHECK(profile("nvidia.runtime", "true").find("not supported") != std::string::npos);
    CHECK(profile("snapshots.expiry", "1d") == "accepted");
}

TEST_CASE("devices are checked for shape with LXD's texts") {
    const std::string failed = "Device validation failed for \"d\": ";
    CHECK(device({}) == failed + "Failed loading device \"d\": Missing device type in config");
    CHECK(device({{"type", "floppy"}}) == failed + "Failed loading device \"d\": Unsupported device type");
    CHECK(device({{"type", "nic"}}) == failed + "Failed loading device \"d\": Unsupported device type");
    CHECK(device({{"type", "none"}, {"foo", ""}}) == failed + "Invalid device option \"foo\"");
    CHECK(device({{"type", "nic"}, {"nictype", "bridged"}}) ==
          failed + "Invalid value for device option \"parent\": Required value");
    CHECK(device({{"type", "nic"}, {"network", "a0"}, {"mtu", "1500"}}) ==
          failed + "Cannot use \"mtu\" property in conjunction with \"network\" property");
    CHECK(device({{"type", "nic"}, {"nictype", "p2p"}, {"hwaddr", "zz"}}) ==
          failed + "Invalid value for device option \"hwaddr\": Invalid MAC address, must be 6 bytes of hex separated "
                   "by colons");
    CHECK(device({{"type", "nic"}, {"nictype", "p2p"}, {"mtu", "70000"}}) ==
          failed + "Invalid value for device option \"mtu\": Out of MTU range (1280-16384) \"70000\"");
    CHECK(device({{"type", "nic"}, {"nictype", "p2p"}, {"ipv4.routes", "10.0.0.1/24"}}) ==
          failed + "Invalid value for device option \"ipv4.routes\": Item \"10.0.0.1/24\": Not an IPv4 network address "
                   "\"10.0.0.1/24\"");
    CHECK(device({{"type", "disk"}, {"path", "/"}}) == failed + "Root disk entry must have a \"pool\" property set");
    CHECK(device({{"type", "disk"}, {"path", "/x"}}) ==
          failed + "Disk entry is missing the required \"source\" or \"path\" property");
    CHECK(device({{"type", "disk"}, {"path", "/x"}, {"source", "rel"}}) ==
          failed + "Source path must be absolute for local sources");
    CHECK(device({{"type", "disk"}, {"path", "/"}, {"pool", "default"}, {"size", "1GiB"}}) == "accepted");
    CHECK(device({{"type", "nic"}, {"network", "lxdbr0"}, {"name", "eth0"}}) == "accepted");
}

TEST_CASE("R8: device names cannot climb or be hidden") {
    for (const auto* name : {"", ".", "..", "../x", "a b", "a\\b", "/x"})
        CHECK(device({{"type", "none"}}, name) != "accepted");
    CHECK(device({{"type", "none"}}, std::string(70, 'x')) == "The maximum device name length is 64 characters");
}

TEST_CASE("network and pool options name their owner as LXD does") {
    const auto bridge = [](const std::string& key, const std::string& value) {
        return failure([&] { config::validate_options(config::bridge_keys(), {{key, value}}, "network \"b0\""); });
    };
    CHECK(bridge("foo", "1") == "Invalid option for network \"b0\" option \"foo\"");
    CHECK(bridge("ipv4.nat", "x") ==
          "Invalid value for network \"b0\" option \"ipv4.nat\": Invalid value for a boolean \"x\"");
    CHECK(bridge("ipv4.address", "10.0.0.0/8") ==
          "Invalid value for network \"b0\" option \"ipv4.address\": Not a usable IPv4 address \"10.0.0.0/8\"");
    CHECK(bridge("ipv6.address", "fd00::1/64") == "accepted");
    CHECK(bridge("ipv4.dhcp.ranges", "10.0.0.2-10.0.0.9,10.0.0.20-10.0.0.30") == "accepted");
    CHECK(bridge("dns.domain", "a\nb") != "accepted");
    CHECK(bridge("raw.dnsmasq", "a\nb") == "accepted");
    const auto pool = [](const std::string& key, const std::string& value) {
        return failure([&] { config::validate_options(config::pool_keys("dir"), {{key, value}}, ""); });
    };
    CHECK(pool("foo", "1") == "Invalid option \"foo\"");
    CHECK(pool("rsync.bwlimit", "x") == "Invalid value for option \"rsync.bwlimit\": Invalid value: x");
}

TEST_CASE("keys of pools that other programs keep are checked with LXD's texts") {
    const auto pool = [](const char* driver, const std::string& key, const std::string& value) {
        return failure([&] { config::validate_options(config::pool_keys(driver), {{key, value}}, ""); });
    };
    const std::string invalid = "Invalid value for option ";
    for (const char* driver : {"lvm", "ceph"}) {
        CHECK(pool(driver, "volume.block.filesystem", "xfs") == "accepted");
        CHECK(pool(driver, "volume.block.filesystem", "ntfs") ==
              invalid + "\"volume.block.filesystem\": Invalid value \"ntfs\" (not one of [btrfs ext4 xfs])");
    }
    CHECK(pool("zfs", "zfs.clone_copy", "rebase") == "accepted");
    CHECK(pool("zfs", "zfs.clone_copy", "x") == invalid + "\"zfs.clone_copy\": Invalid value for a boolean \"x\"");
    for (const char* good : {"512", "4KiB", "16MiB"})
        CHECK(pool("zfs", "volume.zfs.blocksize", good) == "accepted");
    for (const char* bad : {"511", "3KiB", "32MiB"})
        CHECK(pool("zfs", "volume.zfs.blocksize", bad) ==
              invalid + "\"volume.zfs.blocksize\": Value should be between 512 and 16MiB, and be power of 2");
    CHECK(pool("lvm", "zfs.pool_name", "x") == "Invalid option \"zfs.pool_name\"");
    CHECK(pool("cephfs", "volume.block.filesystem", "ext4") == "Invalid option \"volume.block.filesystem\"");
    CHECK(pool("lvm", "volume.lvm.stripes", "-1") ==
          invalid +
              "\"volume.lvm.stripes\": Invalid value for uint32 \"-1\": strconv.ParseUint: parsing \"-1\": invalid "
              "syntax");
}

TEST_CASE("R7, D4: only a level may follow a compressor") {
    const auto* key = config::find(config::server_keys(), "images.compression_algorithm");
    REQUIRE(key != nullptr);
    for (const auto* good : {"gzip", "xz -9", "zstd", "none"})
        CHECK_NOTHROW(key->validate(good));
    for (const auto* bad : {"gzip --help", "gzip -9 -9", "sh", "gzip -0", "none -1", "gzip -10", "/bin/sh"})
        CHECK_THROWS_AS(key->validate(bad), Error);
}

TEST_CASE("local values win over profiles, later profiles over earlier ones") {
    const api::StringMap first{{"a", "1"}, {"b", "1"}, {"c", "1"}}, second{{"b", "2"}};
    const auto expanded = config::expand_config({{"a", "local"}}, {&first, &second});
    CHECK(expanded == api::StringMap{{"a", "local"}, {"b", "2"}, {"c", "1"}});
    const api::Devices nic{{"eth0", {{"type", "nic"}, {"network", "n"}}}}, other{{"x", {{"type", "none"}}}};
    const auto devices = config::expand_devices({{"eth0", {{"type", "none"}}}}, {&nic, &other});
    CHECK(devices == api::Devices{{"eth0", {{"type", "none"}}}, {"x", {{"type", "none"}}}});
}

TEST_CASE("two disks of one owner cannot have the same path") {
    const api::Device etc{{"type", "disk"}, {"path", "/x"}, {"source", "/etc"}};
    const api::Device root{{"type", "disk"}, {"path", "/"}, {"pool", "default"}};
    const auto together = [](const api::Device& a, const api::Device& b) {
        return failure([&] { config::validate_devices({{"a", a}, {"b", b}}); });
    };
    CHECK(together(etc, etc) ==
          "Device validation failed for \"a\": More than one disk device uses the same path \"/x\"");
    CHECK(together(root, root) ==
          "Device validation failed for \"a\": More than one disk device uses the same path \"/\"");
    CHECK(together(etc, root) == "accepted");
    CHECK(together(etc, {{"type", "none"}}) == "accepted");
}
