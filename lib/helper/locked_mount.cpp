// SPDX-License-Identifier: Apache-2.0
#include "helper/locked_mount.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

UniqueFd with_locked_flags(int mount, bool recursive, bool directory) {
    auto* made =
        static_cast<int*>(::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (made == MAP_FAILED) throw_errno("mmap");
    *made = -1;
    const char* const place = directory ? "/proc" : "/proc/version"; // covered in the child's namespace only
    const auto child =
        static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (child == 0) {
        const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0u);
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::syscall(SYS_move_mount, mount, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
            ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            ::_exit(errno);
        *made = static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, place, flags));
        ::_exit(*made < 0 ? errno : 0);
    }
    int status = 0;
    const bool waited = child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status);
    UniqueFd copy{*made};
    ::munmap(made, sizeof(int));
    if (!waited || !copy) throw_errno("lock flags of the mount", waited ? WEXITSTATUS(status) : EIO);
    return copy;
}

} // namespace lxdcore::helper
