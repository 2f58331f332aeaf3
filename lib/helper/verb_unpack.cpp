// SPDX-License-Identifier: Apache-2.0
// The cage (R3): a child with its own user, mount, pid, network, ipc and uts namespaces, limits, and nothing but the
// archive and the target directory. The target comes as an id-mapped mount, so that files get the ids that the archive
// says although the child is nobody on the host.
#include <algorithm>
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
constexpr std::size_t kMostTargets = 64;

struct Cage {
    std::int64_t host_id = 0, ids = 0, seconds = 0;
    std::size_t targets = 0; ///< 0: only look
    bool squashfs = false, whole = true;
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
    const auto names = request.value("names", std::vector<std::string>{});
    cage.content.image = content == "image";
    if (content == "image" || content == "tree") cage.content.prefixes = names;
    if (content == "member") cage.content.members = names;
    if (content == "document") cage.content.document = names.at(0);
    const auto mode = need_text(request, "mode");
    if (mode == "unpack") cage.targets = std::max<std::size_t>(names.size(), 1);
    if (cage.targets > (cage.squashfs ? 1 : kMostTargets))
        throw Error{ErrorCode::InvalidArgument, "unpack: too many at once"};
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

using Control = std::array<char, CMSG_SPACE((kMostTargets + 1) * sizeof(int))>;

void send_fds(int socket, const std::vector<int>& fds) {
    const auto size = fds.size() * sizeof(int);
    alignas(cmsghdr) Control control{};
    char byte = 'g';
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), fds.data(), size);
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) throw_errno("unpack: pass descriptors");
}

std::vector<int> receive_fds(int socket, std::size_t count) {
    std::vector<int> fds(count, -1);
    const auto size = count * sizeof(int);
    alignas(cmsghdr) Control control{};
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) throw_errno("unpack: receive descriptors");
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_len != CMSG_LEN(size))
        throw Error{ErrorCode::Internal, "unpack: descriptors are missing"};
    std::memcpy(fds.data(), CMSG_DATA(header), size);
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

/// Documents are parsed here, whether they are wanted or not: a parser that a hostile file brings down must not be the
/// daemon's (R52).
nlohmann::json encode(const ArchiveSummary& summary, bool metadata) {
    auto list = nlohmann::json::array();
    for (const auto& part : summary.parts) {
        auto document = part.has_metadata ? api::parse_yaml(part.metadata) : nlohmann::json{};
        list.push_back({{"metadata", metadata ? std::move(document) : nlohmann::json{}},
                        {"has_metadata", part.has_metadata},
                        {"has_rootfs", part.has_rootfs},
                        {"has_content", part.has_content},
                        {"nodes", encode(part.nodes)}});
    }
    return list;
}

/// The caged child, from clone() to its end.
void caged(const Cage& cage, int socket, Reply& reply) {
    std::optional<TarReader> tar;
    if (!cage.squashfs) tar.emplace();
    auto targets = receive_fds(socket, cage.targets + 1);
    const int archive = targets.front();
    targets.erase(targets.begin());
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
        tar ? tar->read(archive, targets, cage.content, cage.whole ? ReadUpTo::End : ReadUpTo::Kind, cage.limits)
            : read_squashfs(archive, targets.empty() ? -1 : targets.front(), cage.content, cage.limits);
    reply.ok({{"parts", encode(summary, cage.targets == 0)},
              {"unordered", summary.unordered},
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
        if (cage.targets > 0) ::close_range(kTarget, kTarget + static_cast<unsigned>(cage.targets) - 1, 0);
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
    std::vector<UniqueFd> targets;
    std::vector<int> fds{archive.get()};
    for (int fd = kTarget; fd < kTarget + static_cast<int>(cage.targets); ++fd) {
        // A member's content goes into what is open already, perhaps a socket.
        targets.push_back(cage.content.members.empty() ? idmapped(fd, user_namespace.get())
                                                       : UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, kTarget)});
        fds.push_back(targets.back().get());
    }
    send_fds(ours.get(), fds);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
        ::_exit(WEXITSTATUS(status)); // the child has answered
    }
    reply.error(ErrorCode::Internal, "The unpacking process ended before its time");
}

} // namespace lxdcore::helper
