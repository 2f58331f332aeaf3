// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/seccomp_profile.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include <lxdcore/error.hpp>

#include "util/emitter.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::array kDenied{"kexec_load", "open_by_handle_at", "init_module", "finit_module", "delete_module"};

bool wanted(const api::StringMap& config) {
    for (const char* key : {"security.syscalls.deny_default", "security.syscalls.blacklist_default"})
        if (const auto it = config.find(key); it != config.end() && text::is_false(it->second)) return false;
    return true;
}

void check(int code, const char* what) {
    if (code != 0) throw_errno(what, -code);
}

} // namespace

std::string seccomp_profile(const api::StringMap& config) {
    if (!wanted(config)) return {};
    Emitter out;
    out.line("2").line("denylist").line("reject_force_umount").line("[all]");
    for (const char* call : kDenied)
        out.line(std::string{call} + " errno 38");
    return out.text();
}

std::string seccomp_bpf(const api::StringMap& config) {
    if (!wanted(config)) return {};
    const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter{seccomp_init(SCMP_ACT_ALLOW), seccomp_release};
    if (!filter) throw Error{ErrorCode::Internal, "seccomp: cannot make a filter"};
    // Setuid programs work in containers as on a host: no-new-privileges is not implied.
    check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0), "seccomp attribute");
#if defined(__x86_64__)
    for (const auto arch : {SCMP_ARCH_X86, SCMP_ARCH_X32})
        check(seccomp_arch_add(filter.get(), arch), "seccomp architecture");
#elif defined(__aarch64__)
    check(seccomp_arch_add(filter.get(), SCMP_ARCH_ARM), "seccomp architecture");
#endif
    for (const char* name : kDenied)
        check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name(name), 0),
              "seccomp rule");
    const scmp_arg_cmp forced = SCMP_A1(SCMP_CMP_MASKED_EQ, MNT_FORCE, MNT_FORCE);
    check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EACCES), SCMP_SYS(umount2), 1, forced), "seccomp rule");

    const UniqueFd file{::memfd_create("seccomp", MFD_CLOEXEC)};
    if (!file) throw_errno("seccomp memfd");
    check(seccomp_export_bpf(filter.get(), file.get()), "seccomp export");
    std::string bpf(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    if (::pread(file.get(), bpf.data(), bpf.size(), 0) != static_cast<ssize_t>(bpf.size()))
        throw_errno("read seccomp filter");
    return bpf;
}

} // namespace lxdcore::instance
