// SPDX-License-Identifier: Apache-2.0
// The cage (R3): a child with its own user, mount, pid, network, ipc and uts namespaces, limits, and nothing but the
// archive and the target directory. The target comes as an id-mapped mount, so that files get the ids that the archive
// says although the child is nobody on the host.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "helper/reply.hpp"
#include "helper/unpack_squashfs.hpp"
#include "helper/unpack_tar.hpp"
#include "helper/verbs.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::helper {

namespace {

constexpr int kArchive = 5;
constexpr int kTarget = 6;
constexpr int kOnlyLook = -1;

struct Cage {
    std::int64_t host_id = 0, ids = 0, seconds = 0;
    bool squashfs = false, unpack = false, whole = true;
    ArchiveContent content;
    UnpackLimits limits;
};

Cage cage_of(const nlohmann::json& request) {
    Cage cage;
    cage.host_id = need_int(request, "host_id");
    cage.ids = need_int(request, "ids");
    cage.seconds = need_int(request, "seconds");
    cage.squashfs = need_text(request, "format") == "squashfs";
    const auto& content = need_text(request, "content");
    const auto name = request.value("prefix", "");
    cage.content = {.image = content == "image",
                    .prefix = content == "image" || content == "tree" ? name : "",
                    .document = content == "document" ? name : "",
                    .member = content == "member" ? name : ""};
    const auto mode = need_text(request, "mode");
    cage.unpack = mode == "unpack";
    cage.whole = mode != "glance";
    cage.limits = {.bytes = need_int(request, "max_bytes"),
                   .entries = need_int(request, "max_entries"),
                   .ratio = need_int(request, "max_ratio"),
                   .floor = need_int(request, "ratio_floor"),
                   .ids = cage.ids};
    if (cage.host_id <= 0 || cage.ids <= 0)
        throw Error{ErrorCode::InvalidArgument, "unpack: needs ids that are not the host's own"};
    return cage;
}

void send_fds(int socket, const std::array<int, 2>& fds) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
    char byte = 'g';
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) throw_errno("unpack: pass descriptors");
}

std::array<int, 2> receive_fds(int socket) {
    std::array<int, 2> fds{-1, -1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) throw_errno("unpack: receive descriptors");
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_len != CMSG_LEN(sizeof fds))
        throw Error{ErrorCode::Internal, "unpack: descriptors are missing"};
    std::memcpy(fds.data(), CMSG_DATA(header), sizeof fds);
    return fds;
}

void write_file(const std::string& path, const std::string& text) {
    const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno(path);
}

/// @p fd seen with the ids of the user namespace.
UniqueFd idmapped(int fd, int user_namespace) {
    UniqueFd tree{
        static_cast<int>(::syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
    if (!tree) throw_errno("unpack: open_tree");
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    attributes.userns_fd = static_cast<std::uint64_t>(user_namespace);
    if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        throw_errno("unpack: the filesystem takes no id-mapped mount");
    return tree;
}

void limit(int resource, rlim_t value) {
    const rlimit both{value, value};
    if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &both) != 0) throw_errno("unpack: setrlimit");
}

void set_limits(const Cage& cage) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // whose maps are terabytes
    limit(RLIMIT_AS, 2ull << 30);
#endif
    limit(RLIMIT_CPU, static_cast<rlim_t>(cage.seconds));
    limit(RLIMIT_NOFILE, 256);
    limit(RLIMIT_FSIZE, static_cast<rlim_t>(cage.limits.bytes));
    limit(RLIMIT_CORE, 0);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("unpack: no_new_privs");
}

/// Nothing of the host's files is left to see.
void leave_filesystem() {
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") != 0 || ::chdir("/proc") != 0 ||
        ::syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
        throw_errno("unpack: leave the filesystem");
}

/// unsquashfs needs its libraries: the host's files stay, and cannot be changed.
void freeze_filesystem() {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) != 0)
        throw_errno("unpack: freeze the filesystem");
}

/// Without those whose names JSON cannot carry.
nlohmann::json encode(const std::vector<LeftOutNode>& nodes) {
    auto list = nlohmann::json::array();
    for (const auto& node : nodes) {
        nlohmann::json item{{"path", node.path}, {"link", node.link},   {"mode", node.mode},  {"uid", node.uid},
                            {"gid", node.gid},   {"major", node.major}, {"minor", node.minor}};
        try {
            (void)item.dump();
            list.push_back(std::move(item));
        } catch (const nlohmann::json::type_error&) {
        }
    }
    return list;
}

/// The caged child, from clone() to its end.
void caged(const Cage& cage, int socket, Reply& reply) {
    std::optional<TarReader> tar;
    if (!cage.squashfs) tar.emplace();
    const auto fds = receive_fds(socket);
    const int archive = fds[0];
    const int target = cage.unpack ? fds[1] : kOnlyLook;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        throw_errno("unpack: change ids");
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // the change of ids took it back
    ::umask(0);
    set_limits(cage);
    if (cage.squashfs)
        freeze_filesystem();
    else
        leave_filesystem();
    const auto summary =
        tar ? tar->read(archive, target, cage.content, cage.whole ? ReadUpTo::End : ReadUpTo::Kind, cage.limits)
            : read_squashfs(archive, target, cage.content, cage.limits);
    // Parsed here too: a parser that a hostile file brings down must not be the daemon's (R52).
    reply.ok({{"metadata", summary.has_metadata ? api::parse_yaml(summary.metadata) : nlohmann::json{}},
              {"has_metadata", summary.has_metadata},
              {"has_rootfs", summary.has_rootfs},
              {"has_content", summary.has_content},
              {"nodes", encode(summary.nodes)},
              {"bytes", summary.bytes},
              {"entries", summary.entries}});
}

/// unsquashfs opens its source again, which is root's.
UniqueFd archive_for(const Cage& cage, int user_namespace) {
    struct stat status {};
    if (::fstat(kArchive, &status) != 0) throw_errno("unpack: archive");
    if (cage.squashfs && status.st_nlink > 0) return idmapped(kArchive, user_namespace);
    // Where it has no name nobody else gets at it, and a mount of it is not possible.
    if (cage.squashfs && ::fchmod(kArchive, 0444) != 0) throw_errno("unpack: archive");
    return UniqueFd{::fcntl(kArchive, F_DUPFD_CLOEXEC, 10)};
}

pid_t clone_cage() {
    constexpr unsigned long flags =
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
    const auto pid = static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
    if (pid < 0) throw_errno("unpack: clone");
    return pid;
}

[[noreturn]] void run_caged(const Cage& cage, int socket, Reply& reply) {
    try {
        caged(cage, socket, reply);
        ::_exit(0);
    } catch (const Error& error) {
        reply.error(error.code(), error.what());
    } catch (const std::exception& error) {
        reply.error(ErrorCode::Internal, error.what());
    }
    ::_exit(1);
}

} // namespace

void unpack_verb(const nlohmann::json& request, Reply& reply) {
    const auto cage = cage_of(request);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    UniqueFd ours{ends[0]}, theirs{ends[1]};
    const pid_t child = clone_cage();
    if (child == 0) {
        ours.reset();
        // The plain descriptors stay outside: through them the child would be no more than "other".
        if (cage.unpack) ::close(kTarget);
        if (!cage.squashfs) ::fcntl(kArchive, F_SETFD, FD_CLOEXEC);
        run_caged(cage, theirs.get(), reply);
    }
    theirs.reset();
    const auto proc = "/proc/" + std::to_string(child);
    const auto map = "0 " + std::to_string(cage.host_id) + " " + std::to_string(cage.ids) + "\n";
    write_file(proc + "/uid_map", map);
    write_file(proc + "/gid_map", map);
    const UniqueFd user_namespace{::open((proc + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC)};
    if (!user_namespace) throw_errno(proc + "/ns/user");
    auto archive = archive_for(cage, user_namespace.get());
    UniqueFd target;
    // A member's content goes into what is open already, perhaps a pipe.
    if (cage.unpack)
        target = cage.content.member.empty() ? idmapped(kTarget, user_namespace.get())
                                             : UniqueFd{::fcntl(kTarget, F_DUPFD_CLOEXEC, 10)};
    send_fds(ours.get(), {archive.get(), cage.unpack ? target.get() : archive.get()});
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
        ::_exit(WEXITSTATUS(status)); // the child has answered
    }
    reply.error(ErrorCode::Internal, "The unpacking process ended before its time");
}

} // namespace lxdcore::helper
