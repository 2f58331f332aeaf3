// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/dir/project_quota.hpp"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::storage::project_quota {

namespace {

constexpr int kMaxDepth = 4096;
constexpr std::uint64_t kInherit = FS_XFLAG_PROJINHERIT;

// From Linux 6.17 on, for links and devices too; the headers of Debian 12 are older.
constexpr long kFileGetattr = 468, kFileSetattr = 469;
struct FileAttr {
    std::uint64_t xflags = 0;
    std::uint32_t extsize = 0, nextents = 0, projid = 0, cowextsize = 0;
};

long quotactl(const Dir& on, unsigned what, std::uint32_t number, void* data) {
    return ::syscall(SYS_quotactl_fd, on.fd(), QCMD(what, PRJQUOTA), number, data);
}

class Assigner {
public:
    Assigner(const Dir& tree, std::uint32_t number) : number_{number} {
        struct stat info {};
        if (::fstat(tree.fd(), &info) != 0) throw_errno(tree.path());
        device_ = info.st_dev;
    }

    /// The directory before what is in it: from then on the kernel keeps what has another number out.
    void directory(const Dir& dir, int depth) const {
        if (depth > kMaxDepth) throw Error{ErrorCode::InvalidArgument, dir.path() + ": directories nested too deeply"};
        opened(dir.fd(), true, dir.path());
        for (const auto& name : dir.list()) {
            const auto info = dir.stat_if_exists(name);
            if (!info || info->st_dev != device_) continue;
            try {
                if (S_ISDIR(info->st_mode))
                    directory(dir.dir(name), depth + 1);
                else
                    entry(dir, name);
            } catch (const Error& error) {
                if (dir.exists(name)) throw; // else it went away meanwhile, or gave its place to something else
            }
        }
    }

private:
    void entry(const Dir& dir, const std::string& name) const {
        const auto held = dir.open_file(name, O_PATH | O_NOFOLLOW);
        struct stat info {};
        if (::fstat(held.get(), &info) != 0) throw_errno(dir.path() + "/" + name);
        if (info.st_dev != device_ || S_ISDIR(info.st_mode)) return;
        const auto path = dir.path() + "/" + name;
        // A magic link leads to the very inode that is held, whatever its name is now.
        const auto proc = "/proc/self/fd/" + std::to_string(held.get());
        FileAttr now;
        if (::syscall(kFileGetattr, AT_FDCWD, proc.c_str(), &now, sizeof now, 0) == 0) {
            if (!change(now.xflags, now.projid, false)) return;
            if (::syscall(kFileSetattr, AT_FDCWD, proc.c_str(), &now, sizeof now, 0) != 0) refused(path);
            return;
        }
        if (errno != ENOSYS && errno != EOPNOTSUPP && errno != ENOTTY) throw_errno(path);
        if (!S_ISREG(info.st_mode)) return; // older kernels have no call for these; they take no blocks
        const UniqueFd file{::open(proc.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC)};
        if (!file) throw_errno(path);
        opened(file.get(), false, path);
    }

    void opened(int fd, bool directory, const std::string& path) const {
        fsxattr now{};
        if (::ioctl(fd, FS_IOC_FSGETXATTR, &now) != 0) throw_errno(path);
        std::uint64_t flags = now.fsx_xflags;
        std::uint32_t id = now.fsx_projid;
        if (!change(flags, id, directory)) return;
        now.fsx_xflags = static_cast<std::uint32_t>(flags);
        now.fsx_projid = id;
        if (::ioctl(fd, FS_IOC_FSSETXATTR, &now) != 0) refused(path);
    }

    /// False when all is as it should be.
    bool change(std::uint64_t& flags, std::uint32_t& id, bool directory) const {
        const auto wanted = directory && number_ != 0 ? flags | kInherit : flags & ~kInherit;
        if (id == number_ && flags == wanted) return false;
        flags = wanted;
        id = number_;
        return true;
    }

    /// What is immutable stays as it is, and uncounted.
    static void refused(const std::string& path) {
        if (errno != EPERM && errno != EOPNOTSUPP) throw_errno("project of " + path);
    }

    std::uint32_t number_;
    dev_t device_ = 0;
};

} // namespace

Support support(const Dir& dir) {
    fs_quota_statv state{};
    state.qs_version = FS_QSTATV_VERSION1;
    if (quotactl(dir, Q_XGETQSTATV, 0, &state) != 0 || (state.qs_flags & FS_QUOTA_PDQ_ACCT) == 0) return Support::None;
    return (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0 ? Support::Enforced : Support::Counted;
}

std::uint32_t inherited(const Dir& dir) {
    fsxattr now{};
    if (::ioctl(dir.fd(), FS_IOC_FSGETXATTR, &now) != 0) {
        if (errno == ENOTTY || errno == EOPNOTSUPP || errno == EINVAL) return 0;
        throw_errno(dir.path());
    }
    return (now.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0 ? now.fsx_projid : 0;
}

void assign(const Dir& tree, std::uint32_t number) { Assigner{tree, number}.directory(tree, 0); }

void set_limit(const Dir& on, std::uint32_t number, std::int64_t bytes) {
    if_dqblk limit{};
    limit.dqb_bhardlimit = (static_cast<std::uint64_t>(bytes) + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE;
    limit.dqb_valid = QIF_BLIMITS;
    if (quotactl(on, Q_SETQUOTA, number, &limit) != 0)
        throw_errno("set the quota of project " + std::to_string(number));
}

std::int64_t usage(const Dir& on, std::uint32_t number) {
    if_dqblk now{};
    if (quotactl(on, Q_GETQUOTA, number, &now) == 0) return static_cast<std::int64_t>(now.dqb_curspace);
    if (errno == ENOENT || errno == ESRCH) return 0; // nothing was ever counted
    throw_errno("quota of project " + std::to_string(number));
}

} // namespace lxdcore::storage::project_quota
