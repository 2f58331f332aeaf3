// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/lxc_console.hpp"

#include <fcntl.h>

#include <memory>

#include <lxc/lxccontainer.h>

#include <lxdcore/error.hpp>

namespace lxdcore::instance {

LxcConsole open_lxc_console(const std::string& lxc_path, const std::string& name) {
    const std::unique_ptr<lxc_container, int (*)(lxc_container*)> container{
        ::lxc_container_new(name.c_str(), lxc_path.c_str()), ::lxc_container_put};
    if (!container) throw Error{ErrorCode::Internal, "Failed to load the container"};
    int tty = 0, master = -1; // 0: the console itself
    const int lease = container->console_getfd(container.get(), &tty, &master);
    if (lease < 0) throw Error{ErrorCode::Internal, "There is already an active console for this instance"};
    LxcConsole console{UniqueFd{lease}, UniqueFd{master}};
    for (const int fd : {lease, master})
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return console;
}

} // namespace lxdcore::instance
