// SPDX-License-Identifier: Apache-2.0
#include "helper/guest_terminal.hpp"

#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

namespace {

UniqueFd open_checked(int dir, const char* name, std::uint64_t flags, std::uint64_t resolve) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd{static_cast<int>(::syscall(SYS_openat2, dir, name, &how, sizeof how))};
    if (!fd) throw_errno(name);
    return fd;
}

void require_ptmx(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) throw_errno("stat ptmx");
    if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(5, 2))
        throw Error{ErrorCode::BadState, "/dev/pts/ptmx is not a terminal multiplexer"};
}

} // namespace

Terminal open_guest_terminal(int width, int height) {
    const UniqueFd devpts = open_checked(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY, 0);
    struct statfs fs {};
    if (::fstatfs(devpts.get(), &fs) != 0) throw_errno("statfs /dev/pts");
    if (fs.f_type != DEVPTS_SUPER_MAGIC) throw Error{ErrorCode::BadState, "/dev/pts is not a devpts"};
    // devpts holds nothing but ptmx and terminals; a mount on top of it is refused.
    Terminal terminal;
    terminal.master = open_checked(devpts.get(), "ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_XDEV | RESOLVE_BENEATH);
    require_ptmx(terminal.master.get());
    const int unlock = 0;
    if (::ioctl(terminal.master.get(), TIOCSPTLCK, &unlock) != 0) throw_errno("unlock pty");
    terminal.slave.reset(::ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal.slave) throw_errno("open pty");
    if (width > 0 && height > 0) {
        winsize size{};
        size.ws_col = static_cast<unsigned short>(width);
        size.ws_row = static_cast<unsigned short>(height);
        if (::ioctl(terminal.master.get(), TIOCSWINSZ, &size) != 0) throw_errno("set window size");
    }
    return terminal;
}

void send_fd(int socket, int fd, char kind) {
    iovec part{&kind, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) throw_errno("hand over a descriptor");
}

} // namespace lxdcore::helper
