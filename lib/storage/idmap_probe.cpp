// SPDX-License-Identifier: Apache-2.0
#include "storage/idmap_probe.hpp"

#include <chrono>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/process.hpp"

namespace lxdcore::storage {

namespace {

struct MountAttr { // struct mount_attr, which glibc and the kernel both declare in headers that exclude each other
    std::uint64_t set = 0, clear = 0, propagation = 0, userns_fd = 0;
};
constexpr std::uint64_t kIdmap = 0x00100000; // MOUNT_ATTR_IDMAP

UniqueFd user_namespace_of(const Dir& proc, const std::string& pid) {
    return UniqueFd{::openat(proc.fd(), (pid + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC)};
}

bool same(const UniqueFd& a, const UniqueFd& b) {
    struct stat first {
    }, second{};
    return ::fstat(a.get(), &first) == 0 && ::fstat(b.get(), &second) == 0 && first.st_ino == second.st_ino;
}

} // namespace

bool takes_idmapped_mounts(const Dir& dir) {
    const UniqueFd tree{
        static_cast<int>(::syscall(SYS_open_tree, dir.fd(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
    if (!tree) return false;
    // A process of another program holds the namespace: this one has threads and may not enter one itself.
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
    const UniqueFd input{ends[0]}, keep_open{ends[1]};
    auto holder = spawn({.argv = {"unshare", "--user", "--", "cat"}, .fds = {{input.get(), 0}}});
    const auto proc = Dir::open("/proc");
    const auto ours = user_namespace_of(proc, "self");
    const auto pid = std::to_string(holder.pid());
    UniqueFd theirs;
    for (int attempt = 0; attempt < 500; ++attempt) {
        theirs = user_namespace_of(proc, pid);
        if (!theirs || !same(ours, theirs)) break;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    if (!theirs || same(ours, theirs)) return false;
    for (const char* map : {"/uid_map", "/gid_map"}) {
        constexpr std::string_view line = "0 100000 65536\n";
        const UniqueFd file{::openat(proc.fd(), (pid + map).c_str(), O_WRONLY | O_CLOEXEC)};
        if (!file || ::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) return false;
    }
    MountAttr attributes{.set = kIdmap, .userns_fd = static_cast<std::uint64_t>(theirs.get())};
    return ::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0;
}

} // namespace lxdcore::storage
