// SPDX-License-Identifier: Apache-2.0
#include "integration/storage/quota_kernel.hpp"

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <future>
#include <iterator>
#include <thread>

#include <lxdcore/error.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore::test {

namespace fs = std::filesystem;

namespace {

constexpr unsigned call(unsigned what, unsigned type) { return what << SUBCMDSHIFT | (type & SUBCMDMASK); }

constexpr unsigned kFileGetattr = 468; // not in the headers of Debian 12

UniqueFd watch_quotactl(bool old) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_quotactl_fd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kFileGetattr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, old ? SECCOMP_RET_ERRNO | ENOSYS : SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{.len = std::size(filter), .filter = filter};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("no_new_privs");
    UniqueFd listener{
        static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program))};
    if (!listener) throw_errno("seccomp");
    return listener;
}

} // namespace

std::uint32_t project_number(const fs::path& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)};
    fsxattr attributes{};
    if (!file || ::ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes) != 0) throw_errno(path.string());
    return attributes.fsx_projid;
}

std::uint64_t QuotaKernel::space_of(std::uint32_t number) const {
    std::uint64_t space = 0;
    for (const auto& entry : fs::recursive_directory_iterator{filesystem_}) {
        if (!entry.is_symlink() && !entry.is_regular_file() && !entry.is_directory()) continue;
        struct stat info {};
        if (entry.is_symlink() || project_number(entry.path()) != number) continue;
        if (::lstat(entry.path().c_str(), &info) == 0) space += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
    return space;
}

long QuotaKernel::answer(unsigned command, std::uint32_t number, void* data) {
    if (command == call(Q_XGETQSTATV, PRJQUOTA)) {
        static_cast<fs_quota_statv*>(data)->qs_flags = FS_QUOTA_PDQ_ACCT | FS_QUOTA_PDQ_ENFD;
        return 0;
    }
    auto& block = *static_cast<if_dqblk*>(data);
    if (command == call(Q_SETQUOTA, PRJQUOTA)) {
        if (block.dqb_valid != QIF_BLIMITS || block.dqb_bsoftlimit != 0) return -EINVAL;
        limits[number] = block.dqb_bhardlimit * QIF_DQBLKSIZE;
        return 0;
    }
    if (command != call(Q_GETQUOTA, PRJQUOTA)) return -EINVAL;
    block.dqb_curspace = space_of(number);
    return 0;
}

void QuotaKernel::serve(const std::function<void()>& body) {
    std::promise<UniqueFd> ready;
    std::exception_ptr failure;
    std::atomic<bool> done{false};
    std::thread thread{[&] {
        try {
            ready.set_value(watch_quotactl(old));
        } catch (...) {
            ready.set_exception(std::current_exception());
            return;
        }
        try {
            body();
        } catch (...) {
            failure = std::current_exception();
        }
        done = true;
    }};
    try {
        const auto listener = ready.get_future().get();
        while (!done) {
            pollfd waiting{.fd = listener.get(), .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, 10) != 1 || (waiting.revents & POLLIN) == 0) continue;
            seccomp_notif call{};
            if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;
            // The caller is a thread of this process, and waits.
            const long result =
                answer(static_cast<unsigned>(call.data.args[1]), static_cast<std::uint32_t>(call.data.args[2]),
                       reinterpret_cast<void*>(call.data.args[3]));
            seccomp_notif_resp reply{.id = call.id, .val = 0, .error = static_cast<int>(result), .flags = 0};
            ::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &reply);
        }
    } catch (...) {
        failure = std::current_exception();
    }
    thread.join();
    if (failure) std::rethrow_exception(failure);
}

} // namespace lxdcore::test
