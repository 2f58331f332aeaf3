// SPDX-License-Identifier: Apache-2.0
#include "instance/intercept/interception.hpp"

#include <linux/bpf.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

/// Flags of mount(2) that say how a filesystem is mounted. All others ask for something else than a new mount.
constexpr std::uint64_t kPlainFlags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_MANDLOCK |
                                      MS_DIRSYNC | MS_NOATIME | MS_NODIRATIME | MS_SILENT | MS_POSIXACL | MS_RELATIME |
                                      MS_I_VERSION | MS_STRICTATIME | MS_LAZYTIME;

} // namespace

Interception interception_of(const api::StringMap& config) {
    const auto value = [&](const char* name) {
        const auto it = config.find(name);
        return it == config.end() ? std::string{} : it->second;
    };
    const auto on = [&](const char* name) { return text::is_true(value(name)); };
    Interception out;
    out.mknod = on("security.syscalls.intercept.mknod");
    out.setxattr = on("security.syscalls.intercept.setxattr");
    out.sched_setscheduler = on("security.syscalls.intercept.sched_setscheduler");
    out.mount = on("security.syscalls.intercept.mount");
    out.bpf = on("security.syscalls.intercept.bpf") && on("security.syscalls.intercept.bpf.devices");
    out.shift = on("security.syscalls.intercept.mount.shift");
    for (const auto& name : text::split(value("security.syscalls.intercept.mount.allowed"), ','))
        if (auto trimmed = text::trim(name); !trimmed.empty()) out.filesystems.insert(std::move(trimmed));
    for (const auto& entry : text::split(value("security.syscalls.intercept.mount.fuse"), ','))
        if (const auto equals = entry.find('='); equals != std::string::npos)
            out.fuse[text::trim(entry.substr(0, equals))] = text::trim(entry.substr(equals + 1));
    return out;
}

std::string notify_rules(const Interception& interception) {
    if (!interception.any()) return {};
    // The kernel allows one listener for a process: who asks for another learns at once that there is none.
    std::string out =
        fmt::format("seccomp errno 22 [1,{0},SCMP_CMP_MASKED_EQ,{0}]\n", SECCOMP_FILTER_FLAG_NEW_LISTENER);
    if (interception.mknod)
        for (const auto& [call, argument] : {std::pair{"mknod", 1}, std::pair{"mknodat", 2}})
            out += fmt::format("{} notify [{},{},SCMP_CMP_MASKED_EQ,{}]\n", call, argument, S_IFCHR, S_IFMT);
    if (interception.sched_setscheduler) out += "sched_setscheduler notify\n";
    if (interception.setxattr) out += "setxattr notify [3,1,SCMP_CMP_EQ]\n";
    if (interception.mount) {
        out += fmt::format("mount notify [3,0,SCMP_CMP_MASKED_EQ,{}]\n", ~kPlainFlags);
        // Programs that know the newer calls use mount when the kernel has none.
        for (const char* call : {"fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr"})
            out += fmt::format("{} errno 38\n", call);
    }
    if (interception.bpf)
        for (const int command : {BPF_PROG_LOAD, BPF_PROG_ATTACH, BPF_PROG_DETACH})
            out += fmt::format("bpf notify [0,{},SCMP_CMP_EQ]\n", command);
    return out;
}

} // namespace lxdcore::instance
