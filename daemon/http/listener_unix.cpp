// SPDX-License-Identifier: Apache-2.0
#include "http/listener.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "http/acceptor.hpp"

namespace lxdcore::daemon {

namespace {

constexpr int kBacklog = 1024;

gid_t group_id(const std::string& group) {
    if (group.empty()) return 0;
    std::vector<char> space(16 * 1024);
    struct group entry {};
    struct group* found = nullptr;
    if (::getgrnam_r(group.c_str(), &entry, space.data(), space.size(), &found) != 0 || found == nullptr)
        throw Error{ErrorCode::NotFound, fmt::format("Group \"{}\" doesn't exist", group)};
    return found->gr_gid;
}

std::string user_name(uid_t uid) {
    if (uid == 0) return "root";
    std::vector<char> space(16 * 1024);
    struct passwd entry {};
    struct passwd* found = nullptr;
    if (::getpwuid_r(uid, &entry, space.data(), space.size(), &found) != 0 || found == nullptr)
        return std::to_string(uid);
    return found->pw_name;
}

/// Bound inside a directory that only we can enter, so mode and owner are final before anybody can connect.
int bind_socket(const UnixSocketOptions& options) {
    const auto gid = group_id(options.group);
    std::string room = (options.path.parent_path() / ".socket-XXXXXX").string();
    if (::mkdtemp(room.data()) == nullptr) throw_errno("create directory for the socket"); // mode 0700
    const std::string name = room + "/s";
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // the directory by descriptor, because sun_path is short
    const int dir = ::open(room.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    const auto short_name = fmt::format("/proc/self/fd/{}/s", dir);
    std::memcpy(address.sun_path, short_name.c_str(), short_name.size() + 1);
    const mode_t mode = options.group.empty() ? 0600 : 0660;
    const bool good =
        fd >= 0 && dir >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::chmod(name.c_str(), mode) == 0 && (options.group.empty() || ::chown(name.c_str(), 0, gid) == 0) &&
        ::listen(fd, kBacklog) == 0 && ::rename(name.c_str(), options.path.c_str()) == 0;
    const int err = errno;
    if (dir >= 0) ::close(dir);
    if (!good) ::unlink(name.c_str());
    ::rmdir(room.c_str());
    if (good) return fd;
    if (fd >= 0) ::close(fd);
    throw_errno("listen on " + options.path.string(), err);
}

class UnixListener final : public Listener {
public:
    UnixListener(HttpServer& server, IoThreads& threads, const UnixSocketOptions& options)
        : slots_{server.limits.local_connections, server.limits.local_connections}, path_{
                                                                                        options.inherited < 0
                                                                                            ? options.path
                                                                                            : std::filesystem::path{}} {
        const int fd = options.inherited >= 0 ? options.inherited : bind_socket(options);
        loop_ =
            accept_loop(threads, fd, AF_UNIX, [this_slots = slots_, &server](IoThread& thread, Socket socket) mutable {
                auto slot = this_slots.take("local");
                if (!slot) return;
                Peer peer;
                peer.local = true;
                peer.address = "@";
                ucred credentials{};
                socklen_t size = sizeof credentials;
                if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return;
                peer.username = user_name(credentials.uid);
                asio::co_spawn(thread.io().get_executor(),
                               serve(server, thread, Stream{std::move(socket)}, std::move(peer), std::move(slot)),
                               asio::detached);
            });
    }
    ~UnixListener() override {
        if (!path_.empty()) ::unlink(path_.c_str());
    }

private:
    ConnectionSlots slots_;
    std::filesystem::path path_;
    std::shared_ptr<void> loop_;
};

} // namespace

std::unique_ptr<Listener> listen_unix(HttpServer& server, IoThreads& threads, const UnixSocketOptions& options) {
    return std::make_unique<UnixListener>(server, threads, options);
}

} // namespace lxdcore::daemon
