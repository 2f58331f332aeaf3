// SPDX-License-Identifier: Apache-2.0
#include "http/unix_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::daemon {

namespace {

constexpr int kBacklog = 1024;

} // namespace

int bind_unix_socket(const std::filesystem::path& path, mode_t mode, gid_t gid) {
    std::string room = (path.parent_path() / ".socket-XXXXXX").string();
    if (::mkdtemp(room.data()) == nullptr) throw_errno("create directory for the socket"); // mode 0700
    const std::string name = room + "/s";
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // the directory by descriptor, because sun_path is short
    const int dir = ::open(room.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    const auto short_name = fmt::format("/proc/self/fd/{}/s", dir);
    std::memcpy(address.sun_path, short_name.c_str(), short_name.size() + 1);
    const bool good = fd >= 0 && dir >= 0 &&
                      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                      ::chmod(name.c_str(), mode) == 0 && (gid == 0 || ::chown(name.c_str(), 0, gid) == 0) &&
                      ::listen(fd, kBacklog) == 0 && ::rename(name.c_str(), path.c_str()) == 0;
    const int err = errno;
    if (dir >= 0) ::close(dir);
    if (!good) ::unlink(name.c_str());
    ::rmdir(room.c_str());
    if (good) return fd;
    if (fd >= 0) ::close(fd);
    throw_errno("listen on " + path.string(), err);
}

void remove_unix_socket(const std::filesystem::path& path) noexcept { ::unlink(path.c_str()); }

} // namespace lxdcore::daemon
