// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/lxc_config.hpp"

#include <array>

#include <fmt/format.h>

#include "instance/lxc/raw_lxc.hpp"
#include "system/idmap_raw.hpp"
#include "util/emitter.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

using Config = api::StringMap;

std::string value_of(const Config& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

/// liblxc's names of the personality.
std::string personality(const std::string& architecture) {
    if (architecture == "i686" || architecture == "armv7l" || architecture == "ppc" || architecture == "mips")
        return "linux32";
    return "linux64";
}

void base(Emitter& out, const LxcConfigInput& in) {
    out.pair("lxc.log.file", in.log_dir + "/lxc.log");
    out.pair("lxc.log.level", "warn");
    // A file and the one before: what a container says fills no disk, and its end is always there. liblxc 5.0 garbles
    // up to a kilobyte where it begins the next, so that should not be often.
    out.pair("lxc.console.size", "1MB");
    out.pair("lxc.console.rotate", "1");
    out.pair("lxc.console.logfile", in.log_dir + "/console.log");
    // Done by the monitor itself, see helper/monitor_hook.cpp.
    out.pair("lxc.hook.post-stop", "lxdcore:ended " + in.log_dir + "/" + reboot_mark);
    out.pair("lxc.hook.version", "1"); // no arguments of its own
    out.pair("lxc.uts.name", in.host_name);
    out.pair("lxc.arch", personality(in.architecture));
    out.pair("lxc.tty.max", "0");
    out.pair("lxc.pty.max", "1024");
    out.pair("lxc.autodev", "1");
    out.pair("lxc.cgroup.dir.monitor", in.cgroup_monitor);
    out.pair("lxc.cgroup.dir.container", in.cgroup_payload);
}

void mounts(Emitter& out, const LxcConfigInput& in) {
    const bool privileged = in.idmap.ranges.empty();
    const bool nesting = text::is_true(value_of(in.expanded_config, "security.nesting"));
    out.pair("lxc.mount.auto", privileged ? "proc:mixed sys:mixed cgroup:mixed" : "proc:rw sys:rw cgroup:mixed");
    static constexpr std::array kFiles{"/dev/fuse", "/dev/net/tun"};
    static constexpr std::array kTrees{"/proc/sys/fs/binfmt_misc", "/sys/fs/fuse/connections", "/sys/fs/pstore",
                                       "/sys/kernel/debug",        "/sys/kernel/security",     "/sys/kernel/tracing"};
    if (privileged) out.pair("lxc.mount.entry", "mqueue dev/mqueue mqueue rw,relatime,create=dir,optional 0 0");
    for (const char* path : kFiles)
        out.pair("lxc.mount.entry", fmt::format("{} {} none bind,create=file,optional 0 0", path, path + 1));
    for (const char* path : kTrees)
        out.pair("lxc.mount.entry", fmt::format("{} {} none rbind,create=dir,optional 0 0", path, path + 1));
    if (!in.devlxd.empty())
        out.pair("lxc.mount.entry", fmt::format("{} dev/lxd none bind,create=dir 0 0", fstab_escape(in.devlxd)));
    if (!nesting) return;
    // Hidden full copies: without them the kernel refuses new proc and sysfs mounts in nested user namespaces.
    out.pair("lxc.mount.entry", "proc dev/.lxc/proc proc create=dir,optional 0 0");
    out.pair("lxc.mount.entry", "sys dev/.lxc/sys sysfs create=dir,optional 0 0");
}

void confinement(Emitter& out, const LxcConfigInput& in) {
    const bool privileged = in.idmap.ranges.empty();
    if (privileged) {
        out.pair("lxc.cap.drop", "sys_time sys_module sys_rawio mac_admin mac_override");
        const std::string key = in.devices_v1 ? "lxc.cgroup.devices." : "lxc.cgroup2.devices.";
        out.pair(key + "deny", "a");
        static constexpr std::array kAllowed{"b *:* m",   "c *:* m",      "c 136:* rwm", "c 1:3 rwm", "c 1:5 rwm",
                                             "c 1:7 rwm", "c 1:8 rwm",    "c 1:9 rwm",   "c 5:0 rwm", "c 5:1 rwm",
                                             "c 5:2 rwm", "c 10:229 rwm", "c 10:200 rwm"};
        for (const char* rule : kAllowed)
            out.pair(key + "allow", rule);
    }
    if (!in.apparmor.empty()) out.pair("lxc.apparmor.profile", in.apparmor);
    if (!in.seccomp_file.empty()) out.pair("lxc.seccomp.profile", in.seccomp_file);
    if (!in.seccomp_proxy.empty()) {
        out.pair("lxc.seccomp.notify.proxy", "unix:" + in.seccomp_proxy);
        out.pair("lxc.seccomp.notify.cookie", in.seccomp_cookie);
    }
    for (const auto& range : kernel_ranges(in.idmap))
        out.pair("lxc.idmap", fmt::format("{} {} {} {}", range.uid ? 'u' : 'g', range.ns, range.host, range.count));
    for (const auto& item : in.cgroup)
        out.pair(fmt::format("lxc.{}.{}", item.unified ? "cgroup2" : "cgroup", item.key), item.value);
}

void from_config(Emitter& out, const Config& config) {
    static constexpr std::string_view kEnvironment = "environment.", kLimit = "limits.kernel.",
                                      kSysctl = "linux.sysctl.";
    for (const auto& [key, value] : config) {
        if (key.starts_with(kEnvironment))
            out.pair("lxc.environment", key.substr(kEnvironment.size()) + "=" + value);
        else if (key.starts_with(kLimit))
            out.pair("lxc.prlimit." + key.substr(kLimit.size()), value);
        else if (key.starts_with(kSysctl))
            out.pair("lxc.sysctl." + key.substr(kSysctl.size()), value);
    }
}

void nics(Emitter& out, const LxcConfigInput& in) {
    for (std::size_t i = 0; i < in.nics.size(); ++i)
        for (const auto& [key, value] : in.nics[i])
            out.pair(fmt::format("lxc.net.{}.{}", i, key), value);
    // Without any interface liblxc would share the host's network.
    if (in.nics.empty()) out.pair("lxc.net.0.type", "empty");
}

} // namespace

std::string fstab_escape(const std::string& path) {
    std::string out;
    for (const char c : path) {
        if (c == ' ' || c == '\\')
            out += fmt::format("\\{:03o}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out;
}

std::string lxc_config(const LxcConfigInput& in) {
    Emitter out;
    base(out, in);
    mounts(out, in);
    confinement(out, in);
    from_config(out, in.expanded_config);
    nics(out, in);
    for (const auto& mount : in.mounts) {
        const auto options = mount.options.empty() ? std::string{"defaults"} : text::join(mount.options, ",");
        out.pair("lxc.mount.entry", fmt::format("{} {} {} {} 0 0", fstab_escape(mount.source),
                                                fstab_escape(mount.target), mount.fstype, options));
    }
    out.pair("lxc.rootfs.path", "dir:" + in.rootfs);
    if (in.idmapped_root) out.pair("lxc.rootfs.options", "idmap=container");
    return out.text() + raw_lxc_text(value_of(in.expanded_config, "raw.lxc"));
}

} // namespace lxdcore::instance
