// SPDX-License-Identifier: Apache-2.0
#include "storage/program_drivers.hpp"

#include <exception>
#include <functional>
#include <optional>
#include <string_view>

#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// "  LVM version:     2.03.16(2) (2022-05-18)" and two more such lines.
std::optional<std::string> lvm_version(Tools& tools, const Host& host) {
    if (!tools.installed("lvm") || !host.offers_kernel_module("dm_mod")) return std::nullopt;
    std::vector<std::string> versions;
    for (const auto& line : lines_of(tools.run({"lvm", "version"})))
        for (const std::string_view begin : {"LVM version:", "Library version:", "Driver version:"})
            if (line.starts_with(begin)) versions.push_back(text::trim(line.substr(begin.size())));
    return text::join(versions, " / ");
}

std::optional<std::string> zfs_version(Tools& tools, const Host& host) {
    if (!tools.installed("zfs") || !tools.installed("zpool") || !host.offers_kernel_module("zfs")) return std::nullopt;
    if (!host.has_kernel_module("zfs")) tools.run({"modprobe", "-b", "zfs"});
    return host.kernel_module_version("zfs");
}

/// "ceph version 16.2.11 (…) pacific (stable)".
std::optional<std::string> ceph_version(Tools& tools, const Host& host, const char* module) {
    if (!tools.installed("ceph") || !tools.installed("rbd") || !host.offers_kernel_module(module)) return std::nullopt;
    const auto words = text::split(text::trim(tools.run({"rbd", "--version"})), ' ');
    return words.size() > 2 ? words[2] : std::string{};
}

} // namespace

std::vector<DriverVersion> program_drivers(Tools& tools, const Host& host) noexcept {
    std::vector<DriverVersion> found;
    const auto add = [&](const char* name, bool remote, const std::function<std::optional<std::string>()>& version) {
        try {
            if (auto here = version()) found.push_back({name, std::move(*here), remote});
        } catch (const std::exception& error) {
            tools.log().warning("A storage driver is not offered", {{"driver", name}, {"err", error.what()}});
        }
    };
    add("ceph", true, [&] { return ceph_version(tools, host, "rbd"); });
    add("cephfs", true, [&] { return ceph_version(tools, host, "ceph"); });
    add("lvm", false, [&] { return lvm_version(tools, host); });
    add("zfs", false, [&] { return zfs_version(tools, host); });
    return found;
}

} // namespace lxdcore::storage
