// SPDX-License-Identifier: Apache-2.0
#include "system/pid_namespace.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore {

std::vector<NamespaceId> pid_namespaces(int pid, int pidfd) {
    // A magic link of the kernel, which Dir does not follow; its name holds nothing but a number.
    const auto name = std::to_string(pid) + "/ns/pid";
    UniqueFd current{::openat(Dir::open("/proc").fd(), name.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!current) throw_errno("open pid namespace");
    if (::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) != 0 && errno == ESRCH)
        throw Error{ErrorCode::NotFound, "the process has ended"};
    std::vector<NamespaceId> all;
    while (current) {
        struct stat status {};
        if (::fstat(current.get(), &status) != 0) throw_errno("stat pid namespace");
        all.push_back({status.st_dev, status.st_ino});
        current.reset(::ioctl(current.get(), NS_GET_PARENT)); // fails above our own
    }
    return all;
}

} // namespace lxdcore
