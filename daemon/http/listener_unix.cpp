// SPDX-License-Identifier: Apache-2.0
#include "http/listener.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "http/acceptor.hpp"
#include "http/unix_socket.hpp"

namespace lxdcore::daemon {

namespace {

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

int bind_socket(const UnixSocketOptions& options) {
    return bind_unix_socket(options.path, options.group.empty() ? 0600 : 0660, group_id(options.group));
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
        if (!path_.empty()) remove_unix_socket(path_);
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
