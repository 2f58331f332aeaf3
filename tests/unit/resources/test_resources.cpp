// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "resources/hardware_ids.hpp"
#include "resources/resources.hpp"
#include "resources/sysfs.hpp"
#include "support/golden.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
using nlohmann::json;

namespace {

std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            out += text[i];
        } else if (const char kind = text[++i]; kind == 'x') {
            out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
            i += 2;
        } else {
            out += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind;
        }
    }
    return out;
}

/// Makes the files and links that a .tree lists (see tests/support/fake-machine).
void plant(const std::string& tree, const std::filesystem::path& root) {
    std::istringstream lines{tree};
    for (std::string line; std::getline(lines, line);) {
        const auto file = line.find(" = "), link = line.find(" -> ");
        const auto at = std::min(file, link);
        if (at == std::string::npos) continue;
        const auto path = root / line.substr(0, at);
        std::filesystem::create_directories(path.parent_path());
        if (link < file)
            std::filesystem::create_symlink(line.substr(at + 4), path);
        else
            test::write_file(path, unescape(line.substr(at + 3)) + "\n");
    }
}

/// A machine that has what few have: two sockets and NUMA nodes, GPUs, virtual functions, Infiniband, USB.
struct Server {
    test::TempDir root;
    resources::Host host{resources::Sysfs{root.path().string() + "/"}, &Server::link};

    Server() { plant(test::Golden::open("resources/server.tree").text(), root.path()); }

    /// What the links that stood for cards answered when the reply was recorded: veths where there is a speed.
    static resources::LinkFacts link(const std::string& name) {
        const bool veth = name == "enp3s0f0" || name == "enx1" || name == "enp3s0f0v0";
        resources::LinkFacts out;
        out.firmware_version = veth ? "" : "N/A";
        out.permanent_address = "00:00:00:00:00:00";
        out.link_detected = veth;
        out.settings.emplace();
        out.settings->port_type = veth ? "twisted pair" : "other";
        out.settings->transceiver_type = "internal";
        out.settings->speed = veth ? 10000 : 0;
        out.settings->duplex = "full";
        return out;
    }
};

/// What differs from host to host in the reply for the same tree.
json recorded(const std::string& part) {
    utsname kernel{};
    ::uname(&kernel);
    auto text = test::Golden::open("resources/server.json").json()[part].dump();
    for (const auto& [name, value] : {std::pair{"<kernel>", kernel.release}, {"<machine>", kernel.machine}})
        for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at))
            text.replace(at, std::string{name}.size(), value);
    return json::parse(text);
}

std::string difference(const json& ours, const json& theirs) { return json::diff(theirs, ours).dump(1); }

} // namespace

TEST_CASE("a large machine is described as LXD describes it") {
    const Server server;
    const auto ours = resources::all(server.host);
    for (const auto* part : {"cpu", "memory", "gpu", "network", "storage", "usb", "pci"}) {
        CAPTURE(part);
        const auto theirs = recorded(part);
        INFO(difference(ours[part], theirs));
        CHECK((ours[part] == theirs));
    }
    auto system = recorded("system");
    system["type"] = "physical"; // the recording says nothing about it
    INFO(difference(ours["system"], system));
    CHECK((ours["system"] == system));
}

TEST_CASE("what kind of machine it is shows in its files") {
    for (const auto& [file, content, type] :
         {std::tuple{"sys/class/dmi/id/sys_vendor", "QEMU", "virtual-machine"},
          {"proc/cpuinfo", "processor : 0\nflags : fpu hypervisor lahf_lm", "virtual-machine"},
          {"run/systemd/container", "lxc", "container"},
          {".dockerenv", "", "container"},
          {"proc/cpuinfo", "processor : 0\nflags : fpu", "physical"}}) {
        CAPTURE(file);
        const test::TempDir root;
        test::write_file(root / file, content);
        const resources::Host host{resources::Sysfs{root.path().string() + "/"}, resources::read_link};
        CHECK(resources::machine(host)["type"] == type);
    }
}

TEST_CASE("an empty /sys gives empty lists") {
    const test::TempDir root;
    const resources::Host host{resources::Sysfs{root.path().string() + "/"}, resources::read_link};
    const auto all = resources::all(host);
    CHECK(all["cpu"]["sockets"] == json::array());
    CHECK(all["gpu"] == json{{"cards", json::array()}, {"total", 0}});
    CHECK(all["memory"]["nodes"] == json::array());
    CHECK(all["system"]["firmware"].is_null());
}

TEST_CASE("the memory of a card that holds no text is left out") {
    const test::TempDir root;
    const auto card = "sys/bus/pci/devices/0000:00:01.0";
    const resources::Host host{resources::Sysfs{root.path().string() + "/"}, resources::read_link};
    for (const auto& [content, expected] :
         {std::pair{std::string{"\x82\x03\x00"
                                "A\xff"
                                "B\x78",
                                7},
                    json::object()},
          {std::string{"\x82\xff\xff", 3}, json{{"product_name", ""}}},
          {std::string{"\x90\x06\x00PN\xf0"
                       "abc\x78",
                       10},
           json{{"entries", {{"PN", "abc"}}}}},
          {std::string{"\x90\x04\x00PN\x01\x01\x78", 8}, json{{"entries", json::object()}}},
          {std::string{"text, no tags"}, json::object()}}) {
        test::write_file(root / (std::string{card} + "/vpd"), content);
        CHECK(resources::pci(host)["devices"][0]["vpd"] == expected);
    }
}

TEST_CASE("names of hardware come from the lists, as far as they know it") {
    const test::TempDir root;
    test::write_file(root / "usr/share/misc/pci.ids", "# no 8086  name\n8086  Intel\n\t1521  I350\n\t\t1521 0001  Sub\n"
                                                      "10de  NVIDIA\n\t1db4  GV100\n\nC 02  Network\n\t00  Ethernet\n");
    const auto ids = resources::HardwareIds::pci(resources::Sysfs{root.path().string() + "/"});
    CHECK(ids.vendor("8086") == "Intel");
    CHECK(ids.product("8086", "1521") == "I350");
    CHECK(ids.product("8086", "1db4").empty()); // another vendor's
    CHECK(ids.product("10de", "1db4") == "GV100");
    CHECK(ids.vendor("").empty());
    CHECK(ids.device_class(2) == "Network");
    CHECK(ids.device_subclass(2, 0) == "Ethernet");
    CHECK(ids.device_subclass(3, 0).empty());
    CHECK(resources::HardwareIds::usb(resources::Sysfs{root.path().string() + "/"}).vendor("8086").empty());
}

TEST_CASE("links are followed to their end, but not out and not for ever") {
    const test::TempDir root;
    plant("sys/a/b/file = x\nsys/class/n -> ../a/b\nsys/out -> ../../../../etc\nsys/loop -> loop\n", root.path());
    const resources::Sysfs files{root.path().string() + "/"};
    CHECK(files.real("sys/class/n") == "sys/a/b");
    CHECK(files.real("sys/class/n/file") == "sys/a/b/file");
    CHECK(files.real("sys/loop").empty());
    CHECK(!files.exists("sys/out/passwd"));
    CHECK(files.text("sys/out/passwd").empty());
}

TEST_CASE("the processors of this machine are counted and each thread has a place") {
    const auto cpu = resources::cpu({});
    std::size_t threads = 0;
    for (const auto& socket : cpu["sockets"])
        for (const auto& core : socket["cores"])
            threads += core["threads"].size();
    CHECK(threads > 0);
    CHECK(cpu["total"] == threads);
}

TEST_CASE("memory is there and not more is used than there is") {
    const auto memory = resources::memory({});
    CHECK(memory["total"].get<std::int64_t>() > 0);
    CHECK(memory["used"].get<std::int64_t>() > 0);
    CHECK(memory["used"].get<std::int64_t>() <= memory["total"].get<std::int64_t>());
}

TEST_CASE("what is absent in sysfs is empty, never an error") {
    const resources::Sysfs files;
    CHECK(files.text("sys/no/such").empty());
    CHECK(files.list("sys/no/such").empty());
    CHECK(files.number("sys/no/such", 7) == 7);
    CHECK(files.link("sys/no/such/link").empty());
    CHECK(!files.exists("sys/../../etc/passwd_"));
    CHECK(resources::read_link("no-such-link").settings.has_value() == false);
}
