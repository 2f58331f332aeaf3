// SPDX-License-Identifier: Apache-2.0
#include "instance/intercept/bpf_call.hpp"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/bpf_common.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "instance/intercept/caller_memory.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::size_t kMaxInstructions = 4096, kMaxLicense = 128;
constexpr int kMaxDepth = 64; ///< of cgroups

SyscallAnswer failure(int error) { return {.proceed = false, .value = 0, .error = error}; }

std::uint64_t address_of(const void* data) { return reinterpret_cast<std::uint64_t>(data); }

/// Whether @p directory is below one of @p paths, found by going up: its path in the guest's mounts says nothing.
bool is_below(int directory, const std::vector<std::string>& paths) {
    struct statfs fs {};
    if (::fstatfs(directory, &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC) return false;
    UniqueFd at{::openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    for (int depth = 0; at && depth < kMaxDepth; ++depth) {
        struct stat here {
        }, top{};
        if (::fstat(at.get(), &here) != 0) return false;
        for (const auto& path : paths)
            if (::stat(path.c_str(), &top) == 0 && top.st_ino == here.st_ino && top.st_dev == here.st_dev) return true;
        UniqueFd up{::openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        struct stat above {};
        if (!up || ::fstat(up.get(), &above) != 0 || above.st_ino == here.st_ino) return false;
        at = std::move(up);
    }
    return false;
}

SyscallAnswer load(const CallerMemory& caller, const seccomp_notif& call, int listener, const bpf_attr& wanted) {
    if (wanted.prog_type != BPF_PROG_TYPE_CGROUP_DEVICE) return {};
    if (wanted.insn_cnt == 0 || wanted.insn_cnt > kMaxInstructions || wanted.prog_flags != 0) return failure(EINVAL);
    std::vector<bpf_insn> instructions(wanted.insn_cnt);
    const auto license = caller.text(wanted.license, kMaxLicense);
    if (!license || !caller.read(wanted.insns, instructions.data(), instructions.size() * sizeof(bpf_insn)))
        return failure(EFAULT);
    if (!caller.waits()) return {};
    bpf_attr attributes{};
    attributes.prog_type = wanted.prog_type;
    attributes.insn_cnt = wanted.insn_cnt;
    attributes.insns = address_of(instructions.data());
    attributes.license = address_of(license->c_str());
    const UniqueFd program{static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes))};
    if (!program) return failure(errno);
    seccomp_notif_addfd handed{};
    handed.id = call.id;
    handed.srcfd = static_cast<__u32>(program.get());
    handed.newfd_flags = O_CLOEXEC; // as bpf(2) itself
    const int number = ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &handed);
    return number < 0 ? failure(errno) : SyscallAnswer{.proceed = false, .value = number, .error = 0};
}

SyscallAnswer attach(const SyscallContext& context, const CallerMemory& caller, int command, const bpf_attr& wanted) {
    if (wanted.attach_type != BPF_CGROUP_DEVICE) return {};
    const auto target = caller.descriptor(static_cast<int>(wanted.target_fd));
    const auto program = caller.descriptor(static_cast<int>(wanted.attach_bpf_fd));
    const auto replaced = (wanted.attach_flags & BPF_F_REPLACE) != 0
                              ? caller.descriptor(static_cast<int>(wanted.replace_bpf_fd))
                              : UniqueFd{};
    if (!target || (!program && command == BPF_PROG_ATTACH)) return failure(EBADF);
    if (!caller.waits()) return {};
    if (!is_below(target.get(), context.guest.cgroups)) return failure(EPERM);
    bpf_attr attributes{};
    attributes.target_fd = static_cast<__u32>(target.get());
    attributes.attach_bpf_fd = program ? static_cast<__u32>(program.get()) : 0;
    attributes.attach_type = wanted.attach_type;
    attributes.attach_flags = wanted.attach_flags;
    attributes.replace_bpf_fd = replaced ? static_cast<__u32>(replaced.get()) : 0;
    return failure(::syscall(SYS_bpf, command, &attributes, sizeof attributes) == 0 ? 0 : errno);
}

} // namespace

SyscallAnswer carry_out_bpf(const SyscallContext& context, const CallerMemory& caller, const seccomp_notif& call,
                            int listener) {
    const auto command = static_cast<int>(call.data.args[0]);
    bpf_attr wanted{};
    const auto size = std::min<std::size_t>(call.data.args[2], sizeof wanted);
    if (!caller.has(CAP_SYS_ADMIN) || !caller.read(call.data.args[1], &wanted, size)) return {};
    if (command == BPF_PROG_LOAD) return load(caller, call, listener, wanted);
    if (command == BPF_PROG_ATTACH || command == BPF_PROG_DETACH) return attach(context, caller, command, wanted);
    return {};
}

} // namespace lxdcore::instance
