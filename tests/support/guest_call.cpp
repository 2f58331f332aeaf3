// SPDX-License-Identifier: Apache-2.0
// A static program that makes one system call in a guest and prints "ok" or the name of the error.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

/// Loads a program that allows every device or none, attaches it to a cgroup, and leaves or detaches it.
long device_program(const char* cgroup, unsigned long allow) {
    const bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = static_cast<__s32>(allow)},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insn_cnt = 2;
    load.insns = reinterpret_cast<__u64>(code);
    load.license = reinterpret_cast<__u64>("GPL");
    const long program = ::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0) return program;
    bpf_attr attach{};
    attach.target_fd = static_cast<__u32>(::open(cgroup, O_RDONLY | O_DIRECTORY));
    attach.attach_bpf_fd = static_cast<__u32>(program);
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    const long result = ::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
    if (result < 0 || allow == 0) return result;
    attach.attach_flags = 0;
    return ::syscall(SYS_bpf, BPF_PROG_DETACH, &attach, sizeof attach);
}

long call(char** arg) {
    const std::string name = arg[0];
    const auto number = [&](int i) { return std::strtoul(arg[i], nullptr, 0); };
    const auto device = [&](int i) {
        return makedev(static_cast<unsigned>(number(i)), static_cast<unsigned>(number(i + 1)));
    };
    if (name == "mknod") return ::syscall(SYS_mknod, arg[1], number(2), device(3));
    if (name == "mknodat") return ::syscall(SYS_mknodat, ::open(arg[1], O_PATH), arg[2], number(3), device(4));
    if (name == "setxattr") return ::setxattr(arg[1], arg[2], arg[3], std::strlen(arg[3]), 0);
    if (name == "mount") return ::mount(arg[1], arg[2], arg[3], number(4), arg[5]);
    if (name == "sched_setscheduler") {
        const sched_param parameter{.sched_priority = static_cast<int>(number(3))};
        const long result =
            ::sched_setscheduler(static_cast<pid_t>(number(1)), static_cast<int>(number(2)), &parameter);
        return result == 0 && ::sched_getscheduler(static_cast<pid_t>(number(1))) != static_cast<int>(number(2))
                   ? -1
                   : result;
    }
    if (name == "bpf") return device_program(arg[1], number(2));
    if (name == "mount_setattr") { // takes flags away
        mount_attr attributes{};
        attributes.attr_clr = number(2);
        return ::syscall(SYS_mount_setattr, AT_FDCWD, arg[1], 0, &attributes, sizeof attributes);
    }
    if (name == "fsopen") return ::syscall(SYS_fsopen, arg[1], 0);
    errno = EINVAL;
    return -1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    long result = -1;
    int error = 0;
    const bool threaded = std::string{argv[1]} == "thread";
    const auto work = [&] {
        errno = 0;
        result = call(argv + 1 + threaded);
        error = errno;
    };
    if (threaded)
        std::thread{work}.join();
    else
        work();
    std::puts(result >= 0 ? "ok" : ::strerrorname_np(error));
    return result >= 0 ? 0 : 1;
}
