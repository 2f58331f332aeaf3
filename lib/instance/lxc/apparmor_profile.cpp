// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/apparmor_profile.hpp"

#include <algorithm>

#include "util/emitter.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kGeneral[] = {
    "capability,",
    "dbus,",
    "file,",
    "network,",
    "umount,",
    "pivot_root,",
    "unix,",
    "signal (receive) peer=unconfined,",
    "signal (send, receive) peer=@{profile_name},",
    "ptrace (readby, tracedby) peer=unconfined,",
    "ptrace (read, readby, trace, tracedby) peer=@{profile_name},",
};

/// What the kernel keeps once for all containers and would let root change.
constexpr const char* kHostFiles[] = {
    "deny @{PROC}/sysrq-trigger rwklx,",
    "deny @{PROC}/kcore rwklx,",
    "deny @{PROC}/kmem rwklx,",
    "deny @{PROC}/mem rwklx,",
    "deny @{PROC}/acpi/** wklx,",
    "deny @{PROC}/bus/pci/** wklx,",
    "deny @{PROC}/irq/** wklx,",
    "deny @{PROC}/scsi/** wklx,",
    "deny @{PROC}/sys/fs/protected_* wklx,",
    "deny @{PROC}/sys/fs/suid_dumpable wklx,",
    "deny @{PROC}/sys/kernel/core_pattern wklx,",
    "deny @{PROC}/sys/kernel/core_pipe_limit wklx,",
    "deny @{PROC}/sys/kernel/hotplug wklx,",
    "deny @{PROC}/sys/kernel/kptr_restrict wklx,",
    "deny @{PROC}/sys/kernel/modprobe wklx,",
    "deny @{PROC}/sys/kernel/modules_disabled wklx,",
    "deny @{PROC}/sys/kernel/panic* wklx,",
    "deny @{PROC}/sys/kernel/randomize_va_space wklx,",
    "deny @{PROC}/sys/kernel/sysrq wklx,",
    "deny @{PROC}/sys/kernel/yama/** wklx,",
    "deny @{PROC}/sys/vm/** wklx,",
    "deny /sys/block/** wklx,",
    "deny /sys/bus/** wklx,",
    "deny /sys/dev/** wklx,",
    "deny /sys/firmware/** rwklx,",
    "deny /sys/kernel/debug/** rwklx,",
    "deny /sys/kernel/security/** rwklx,",
    "deny /sys/kernel/tracing/** rwklx,",
    "deny /sys/kernel/uevent_helper wklx,",
    "deny /sys/module/** wklx,",
    "deny /sys/power/** wklx,",
};

/// File systems whose contents belong to who mounts them.
constexpr const char* kMounts[] = {
    "mount options in (rw, bind, rbind, ro, remount, move, nosuid, nodev, noexec, noatime, relatime, silent),",
    "mount options in (rw, make-slave, make-rslave, make-private, make-rprivate, make-shared, make-rshared),",
    "mount fstype=tmpfs,",
    "mount fstype=ramfs,",
    "mount fstype=devpts,",
    "mount fstype=mqueue,",
    "mount fstype=hugetlbfs,",
    "mount fstype=cgroup,",
    "mount fstype=cgroup2,",
    "mount fstype=fuse,",
    "mount fstype=fuse.*,",
    "mount fstype=proc -> /proc/,",
    "mount fstype=sysfs -> /sys/,",
};

void rules(Emitter& out, const auto& lines) {
    for (const char* line : lines)
        out.line(std::string{"  "} + line);
}

} // namespace

std::string apparmor_name(const std::string& directory, const std::string& state_dir) {
    return "lxd-" + directory + "_<" + state_dir + ">";
}

std::string apparmor_profile(const ApparmorInput& in) {
    Emitter out;
    out.line("#include <tunables/global>");
    out.line("profile " + text::quote(in.name) + " flags=(attach_disconnected,mediate_deleted) {");
    rules(out, kGeneral);
    rules(out, kHostFiles);
    // Whoever starts containers inside mounts and unmounts at will, in user namespaces at least.
    if (in.nesting || !in.privileged)
        out.line("  mount,");
    else
        rules(out, kMounts);
    if (in.nesting) out.line("  change_profile,");
    auto raw = in.raw;
    std::replace(raw.begin(), raw.end(), '\t', ' ');
    for (const auto& line : text::split(raw, '\n'))
        if (!text::trim(line).empty()) out.line("  " + text::trim(line));
    out.line("}");
    return out.text();
}

} // namespace lxdcore::instance
