// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/lxcfs.hpp"

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kUsual = "/var/lib/lxcfs";

} // namespace

std::string lxcfs_mount(const std::string& mountinfo) {
    std::string found;
    for (std::size_t at = 0; (at = mountinfo.find(" - fuse.lxcfs ", at)) != std::string::npos; ++at) {
        const auto begin = mountinfo.rfind('\n', at) + 1; // npos + 1 is the first line
        const auto fields = text::split(mountinfo.substr(begin, at - begin), ' ');
        // Single files of it are what a container has that this server runs in.
        if (fields.size() < 5 || fields[3] != "/" || fields[4].find('\\') != std::string::npos) continue;
        if (found != kUsual) found = fields[4];
    }
    return found;
}

std::vector<device::MountItem> lxcfs_mounts(const std::string& mount) {
    std::vector<device::MountItem> out;
    const auto root = Dir::open(mount);
    const auto add = [&](const std::string& path) {
        out.push_back({.source = mount + "/" + path, .target = path, .options = {"bind", "optional"}});
    };
    for (const auto& name : root.dir("proc").list())
        add("proc/" + name);
    constexpr const char* kCpus = "sys/devices/system/cpu";
    if (root.exists(std::string{kCpus} + "/uevent")) {
        add(kCpus);
    } else if (root.exists(kCpus)) {
        for (const auto& name : root.dir(kCpus).list())
            add(std::string{kCpus} + "/" + name);
    }
    // For instances that have a lxcfs of their own inside.
    out.push_back({.source = mount, .target = std::string{kUsual}.substr(1), .options = {"bind", "optional"}});
    return out;
}

} // namespace lxdcore::instance
