// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "helper/guest_process.hpp"
#include "helper/guest_root.hpp"
#include "helper/locked_mount.hpp"
#include "helper/reply.hpp"
#include "helper/verbs.hpp"

namespace lxdcore::helper {

namespace {

/// Into the guest's users and mounts, as its root: what is made there is the guest's, and its limits are ours.
GuestRoot enter(int pidfd) {
    UniqueFd proc_fds{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    const GuestProcess guest{pidfd};
    const int flags = guest.foreign_namespaces(CLONE_NEWUSER | CLONE_NEWNS);
    if ((flags & CLONE_NEWNS) == 0) throw Error{ErrorCode::BadState, "Instance has no mount namespace of its own"};
    if (::setns(pidfd, flags) != 0) throw_errno("enter instance");
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        throw_errno("become root of the instance");
    ::prctl(PR_SET_DUMPABLE, 0);
    UniqueFd root{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!root) throw_errno("open root of the instance");
    return GuestRoot{std::move(root), std::move(proc_fds)};
}

void set_attributes(int mount, bool recursive, const mount_attr& attributes, const char* what) {
    const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    if (::syscall(SYS_mount_setattr, mount, "", flags, &attributes, sizeof attributes) != 0) throw_errno(what);
}

/// Ids on the mount become those of the guest's map. Only possible before the mount is attached anywhere.
void shift_ids(int mount, bool recursive, int pidfd, std::int64_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/user";
    const UniqueFd users{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!users) throw_errno("open user namespace of the instance");
    const GuestProcess still_there{pidfd}; // so the number meant this process when it was opened
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<std::uint64_t>(users.get());
    set_attributes(mount, recursive, attributes, "Required idmapping abilities not available");
}

/// What the host mounts below follows into the guest, and nothing of the guest to the host. Then what is asked for.
void set_propagation(int mount, std::uint64_t wanted) {
    mount_attr attributes{};
    attributes.propagation = MS_SLAVE;
    set_attributes(mount, true, attributes, "separate mount from the host");
    if (wanted == 0) return;
    attributes.propagation = wanted & ~std::uint64_t{MS_REC};
    set_attributes(mount, (wanted & MS_REC) != 0, attributes, "set propagation");
}

[[noreturn]] void refuse(const std::string& path) {
    throw Error{ErrorCode::InvalidArgument, "Invalid path \"" + path + "\""};
}

std::vector<std::string> parts_of(const std::string& path) {
    if (path.find('\0') != std::string::npos) refuse(path);
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const std::string part = path.substr(at, end - at);
        if (part == "..") refuse(path);
        if (!part.empty() && part != ".") parts.push_back(part);
        at = end + 1;
    }
    if (parts.empty()) refuse(path);
    return parts;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string path;
    for (const std::string& part : parts)
        path += "/" + part;
    return path;
}

/// mkdir -p of all but the last part; every step is resolved again by the kernel, so links of the guest lead nowhere
/// but into the guest.
std::string make_parents(const GuestRoot& root, const std::vector<std::string>& parts) {
    std::string path;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        path += "/" + parts[i];
        const auto entry = root.entry("mkdir", path);
        if (::mkdirat(entry.parent.get(), entry.name.c_str(), 0755) != 0 && errno != EEXIST)
            throw_file_error("mkdir", path, errno);
    }
    return path + "/" + parts.back();
}

UniqueFd make_target(const GuestRoot& root, const std::string& path, bool directory) {
    const auto entry = root.entry("create", path);
    if (directory) {
        if (::mkdirat(entry.parent.get(), entry.name.c_str(), 0755) != 0 && errno != EEXIST)
            throw_file_error("mkdir", path, errno);
    } else if (::mknodat(entry.parent.get(), entry.name.c_str(), S_IFREG | 0644, 0) != 0 && errno != EEXIST) {
        throw_file_error("create", path, errno);
    }
    UniqueFd target = root.try_open(path, O_PATH);
    if (!target) throw_file_error("open", path, errno);
    return target;
}

} // namespace

void mount_verb(const nlohmann::json& request, Reply&) {
    UniqueFd mount{5};
    const UniqueFd pidfd{6};
    const auto parts = parts_of(need_text(request, "target"));
    const bool recursive = request.value("recursive", false);
    if (request.value("shift", false)) shift_ids(mount.get(), recursive, pidfd.get(), need_int(request, "pid"));
    mount_attr attributes{};
    attributes.attr_set = request.value("attributes_set", std::uint64_t{0});
    attributes.attr_clr = request.value("attributes_clear", std::uint64_t{0});
    if (attributes.attr_set != 0 || attributes.attr_clr != 0) {
        set_attributes(mount.get(), recursive, attributes, "set mount options");
        mount = with_locked_flags(mount.get(), recursive, request.value("directory", true));
    }
    set_propagation(mount.get(), request.value("propagation", std::uint64_t{0}));
    const GuestRoot root = enter(pidfd.get());
    const UniqueFd target = make_target(root, make_parents(root, parts), request.value("directory", true));
    constexpr unsigned kByDescriptor = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    if (::syscall(SYS_move_mount, mount.get(), "", target.get(), "", kByDescriptor) != 0) throw_errno("attach mount");
}

void unmount_verb(const nlohmann::json& request, Reply&) {
    const UniqueFd pidfd{5};
    const auto parts = parts_of(need_text(request, "target"));
    const GuestRoot root = enter(pidfd.get());
    const auto entry = root.entry("unmount", joined(parts));
    // umount2 takes names only: from within the directory the name is a single step that cannot lead elsewhere.
    if (::fchdir(entry.parent.get()) != 0) throw_errno("enter directory");
    if (::umount2(entry.name.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL) throw_errno("unmount");
}

} // namespace lxdcore::helper
