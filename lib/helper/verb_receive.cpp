// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <linux/mount.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "helper/reply.hpp"
#include "helper/verbs.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::helper {

namespace {

/// Where increments find what they build upon.
constexpr const char* kParents[] = {"containers-snapshots", "custom-snapshots", "virtual-machines-snapshots"};

UniqueFd read_only_copy(int pool, const char* name) {
    constexpr unsigned kCopy = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW;
    UniqueFd tree{static_cast<int>(::syscall(SYS_open_tree, pool, name, kCopy))};
    if (!tree && errno == ENOENT) return tree;
    if (!tree) throw_errno(std::string{"copy mount of "} + name);
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        throw_errno("make mount read-only");
    return tree;
}

} // namespace

/// The tool believes every path of a stream, and follows links that the stream has made: so its root is the folder, and
/// what else it has to see is there read-only, in a mount namespace that ends with it.
void receive_verb(const nlohmann::json&, Reply&) {
    const UniqueFd pool{5}, folder{6};
    std::vector<std::pair<const char*, UniqueFd>> parents;
    for (const auto* name : kParents)
        if (auto tree = read_only_copy(pool.get(), name)) parents.emplace_back(name, std::move(tree));
    if (::fchdir(folder.get()) != 0) throw_errno("enter directory"); // which the new namespace takes over
    if (::unshare(CLONE_NEWNS) != 0) throw_errno("new mount namespace");
    // What the host unmounts meanwhile goes here too, and not the other way round.
    if (::mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) throw_errno("mounts of its own");
    for (const auto& [name, tree] : parents) {
        if (::mkdir(name, 0700) != 0) throw_errno(std::string{"mkdir "} + name);
        if (::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) != 0)
            throw_errno("attach mount");
    }
    for (const int fd : {pool.get(), folder.get()})
        ::close_range(static_cast<unsigned>(fd), static_cast<unsigned>(fd), CLOSE_RANGE_CLOEXEC);
    ::execlp("btrfs", "btrfs", "receive", "-q", "-e", "-C", "--", ".", nullptr);
    throw_errno("btrfs");
}

} // namespace lxdcore::helper
