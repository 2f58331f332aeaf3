// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "instance/lxc/seccomp_filter.hpp"
#include "instance/lxc/seccomp_profile.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

std::string refusal(const api::StringMap& config) {
    try {
        check_seccomp(config);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::InvalidArgument);
        return error.what();
    }
    return {};
}

/// The errno that @p call ends with in a process under the filter, 0 for success; 256 and the signal if it is killed.
int under(const std::string& policy, const std::function<long()>& call) {
    const auto bpf = seccomp_bpf(policy);
    // Not fork(): TSan gives the child a thread of its own there, which outlives a kill of the thread that called.
    const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (child == 0) {
        sock_fprog program{static_cast<unsigned short>(bpf.size() / sizeof(sock_filter)),
                           reinterpret_cast<sock_filter*>(const_cast<char*>(bpf.data()))};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
            ::_exit(255);
        errno = 0;
        ::syscall(SYS_exit_group, call() < 0 ? errno : 0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

long handle() { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }
long make_directory() { return ::syscall(SYS_mkdirat, -1, "x", 0700); }

} // namespace

TEST_CASE("without any key, modules, kexec, file handles and forced unmounts are denied") {
    const auto policy = seccomp_profile({});
    CHECK(policy.starts_with("2\ndenylist\n[all]\nreject_force_umount\n"));
    CHECK(under(policy, handle) == ENOSYS);
    CHECK(under(policy, [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }) == ENOSYS);
    CHECK(under(policy, [] { return ::syscall(SYS_init_module, nullptr, 0, ""); }) == ENOSYS);
    CHECK(under(policy, [] { return ::syscall(SYS_finit_module, -1, "", 0); }) == ENOSYS);
    CHECK(under(policy, [] { return ::syscall(SYS_delete_module, "x", 0); }) == ENOSYS);
    CHECK(under(policy, [] { return ::syscall(SYS_umount2, "/nonexistent", MNT_FORCE); }) == EACCES);
    CHECK(under(policy, [] { return ::syscall(SYS_umount2, "/nonexistent", 0); }) != EACCES);
    CHECK(under(policy, make_directory) == EBADF);
}

TEST_CASE("security.syscalls.deny adds calls, under its new and its old name") {
    for (const char* key : {"security.syscalls.deny", "security.syscalls.blacklist"}) {
        const auto policy = seccomp_profile({{key, "mkdirat errno 1\nchdir errno 5 # not even there"}});
        CAPTURE(policy);
        CHECK(under(policy, make_directory) == EPERM);
        CHECK(under(policy, [] { return ::syscall(SYS_chdir, "/"); }) == EIO);
        CHECK(under(policy, handle) == ENOSYS);
    }
    // Without an action a call kills.
    CHECK(under(seccomp_profile({{"security.syscalls.deny", "mkdirat"}}), make_directory) == 256 + SIGSYS);
}

TEST_CASE("the defaults can be switched off, also by the old name") {
    for (const char* key : {"security.syscalls.deny_default", "security.syscalls.blacklist_default"}) {
        CHECK(seccomp_profile({{key, "false"}}).empty());
        const auto policy = seccomp_profile({{key, "false"}, {"security.syscalls.deny", "mkdirat errno 1"}});
        CHECK(under(policy, handle) != ENOSYS);
        CHECK(under(policy, make_directory) == EPERM);
    }
    CHECK(seccomp_bpf("").empty());
}

TEST_CASE("sections of this processor hold for all of its interfaces, as in liblxc") {
#if defined(__x86_64__)
    for (const char* section : {"[all]", "[x86]", "[X86_64]", "[x32]"})
        CHECK(under(fmt::format("2\ndenylist\n{}\nmkdirat errno 5\n", section), make_directory) == EIO);
    CHECK(under("2\ndenylist\n[arm64]\nmkdirat errno 5\n", make_directory) == EBADF);
#endif
}

TEST_CASE("an action behind the style is for all calls that no rule names") {
    const std::string policy = "2\ndenylist errno 5\nsocket\nexit_group allow\n";
    CHECK(under(policy, make_directory) == EIO);
    CHECK(under(policy, [] { return ::syscall(SYS_socket, 1, 1, 0); }) == 256 + SIGSYS);
    CHECK(under("2\nallowlist errno 6\nexit_group\n", make_directory) == ENXIO);
    CHECK(under(fmt::format("1\nallowlist\n{}\n", SYS_exit_group), make_directory) == 256 + SIGSYS);
    CHECK(under(fmt::format("1\nallowlist\n{}\n{}", SYS_exit_group, SYS_mkdirat), make_directory) == EBADF);
}

TEST_CASE("the compatibility list keeps what comes behind it") {
    for (const char* key : {"security.syscalls.deny_compat", "security.syscalls.blacklist_compat"}) {
        const auto policy = seccomp_profile({{key, "true"}, {"security.syscalls.deny", "mkdirat errno 1"}});
        CHECK(policy.find("[x86_64]\ncompat_sys_rt_sigaction errno 38\n") != std::string::npos);
        CHECK(policy.ends_with("[all]\nmkdirat errno 1\n"));
        CHECK(under(policy, make_directory) == EPERM);
    }
}

TEST_CASE("an allow list kills whatever it does not name") {
    for (const char* key : {"security.syscalls.allow", "security.syscalls.whitelist"}) {
        const auto policy = seccomp_profile({{key, "exit_group\nmkdirat\n"}});
        CHECK(policy == "2\nallowlist\n[all]\nexit_group\nmkdirat\n\n");
        CHECK(under(policy, make_directory) == EBADF);
        CHECK(under(policy, handle) == 256 + SIGSYS);
    }
}

TEST_CASE("raw.seccomp is taken as it is, arguments and sections included") {
    CHECK(seccomp_profile({{"raw.seccomp", "1\nallowlist\n0"}}) == "1\nallowlist\n0");
    const std::string policy = "2\ndenylist\n[all]\nmkdirat errno 5\nsocket errno 13 [0,16,SCMP_CMP_EQ]\n"
                               "umount2 errno 7 [1,1,SCMP_CMP_MASKED_EQ,1]\n[s390x]\nchdir errno 1\n";
    CHECK(under(policy, make_directory) == EIO);
    CHECK(under(policy, [] { return ::syscall(SYS_socket, 16, 1, 0); }) == EACCES);
    CHECK(under(policy, [] { return ::syscall(SYS_socket, 1, 1, 0); }) == 0);
    CHECK(under(policy, [] { return ::syscall(SYS_umount2, "/nonexistent", 1); }) == E2BIG);
    CHECK(under(policy, [] { return ::syscall(SYS_chdir, "/"); }) == 0);
    CHECK(under("2\nblacklist\nmkdirat errno 6", make_directory) == ENXIO);
}

TEST_CASE("what liblxc would refuse is refused") {
    for (const char* policy :
         {"nonsense", "3\ndenylist\n", "2", "2\nperhaps\n", "2\ndenylist\nmkdir errno\n",
          "2\ndenylist\nmkdir errno x\n", "2\ndenylist\nmkdir sometimes\n",
          "2\ndenylist\nmkdir errno 1 [9,1,SCMP_CMP_EQ]\n", "1\ndenylist\n5\n", "2\ndenylist\n[pdp11]\nmkdir errno 1\n",
          "2\ndenylist\nmkdir errno 1 [0,1]\n", "2\ndenylist\nmkdir errno 1 [0,1,LIKE]\n"}) {
        CAPTURE(policy);
        CHECK_THROWS_AS(seccomp_bpf(policy), Error);
    }
    CHECK_NOTHROW(seccomp_bpf("2\ndenylist\nnosuchcall errno 1\n"));
}

TEST_CASE("keys that exclude each other are refused with LXD's texts") {
    const std::string s = "security.syscalls.";
    const auto pair = [&](const char* a, const char* b) {
        return "Mutually exclusive keys " + s + a + " and " + s + b + " are set";
    };
    const auto allow = "security.syscalls.allow is mutually exclusive with security.syscalls.deny*";
    const auto raw = "raw.seccomp is mutually exclusive with security.syscalls*";
    CHECK(refusal({{s + "allow", "x"}, {s + "whitelist", "x"}}) == pair("allow", "whitelist"));
    CHECK(refusal({{s + "deny", "x"}, {s + "blacklist", "x"}}) == pair("deny", "blacklist"));
    CHECK(refusal({{s + "deny_default", "false"}, {s + "blacklist_default", "false"}}) ==
          pair("deny_default", "blacklist_default"));
    CHECK(refusal({{s + "deny_compat", "true"}, {s + "blacklist_compat", "true"}}) ==
          pair("deny_compat", "blacklist_compat"));
    for (const char* key : {"deny", "blacklist"})
        CHECK(refusal({{s + "allow", "x"}, {s + key, "x"}}) == allow);
    for (const char* key : {"deny_default", "deny_compat", "blacklist_compat"})
        CHECK(refusal({{s + "allow", "x"}, {s + key, "true"}}) == allow);
    for (const char* key : {"deny", "blacklist", "allow", "whitelist"})
        CHECK(refusal({{"raw.seccomp", "2"}, {s + key, "x"}}) == raw);
    CHECK(refusal({{"raw.seccomp", "2"}, {s + "deny_default", "true"}}) == raw);
    CHECK(refusal({{"raw.seccomp", "2"}, {s + "deny_default", "false"}}).empty());
    CHECK(refusal({{s + "allow", "x"}, {s + "deny_default", "false"}}).empty());
    CHECK(refusal({{s + "deny", "x"}, {s + "deny_compat", "true"}}).empty());
}
