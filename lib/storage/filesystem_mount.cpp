// SPDX-License-Identifier: Apache-2.0
#include "storage/filesystem_mount.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

struct Flag {
    std::string_view name;
    unsigned long bit;
    bool set;
};

constexpr Flag kFlags[] = {
    {"async", MS_SYNCHRONOUS, false},   {"atime", MS_NOATIME, false},
    {"dev", MS_NODEV, false},           {"diratime", MS_NODIRATIME, false},
    {"dirsync", MS_DIRSYNC, true},      {"exec", MS_NOEXEC, false},
    {"lazytime", MS_LAZYTIME, true},    {"noatime", MS_NOATIME, true},
    {"mand", MS_MANDLOCK, true},        {"nomand", MS_MANDLOCK, false},
    {"nodev", MS_NODEV, true},          {"nodiratime", MS_NODIRATIME, true},
    {"noexec", MS_NOEXEC, true},        {"nolazytime", MS_LAZYTIME, false},
    {"norelatime", MS_RELATIME, false}, {"nosuid", MS_NOSUID, true},
    {"relatime", MS_RELATIME, true},    {"ro", MS_RDONLY, true},
    {"rw", MS_RDONLY, false},           {"strictatime", MS_STRICTATIME, true},
    {"suid", MS_NOSUID, false},         {"sync", MS_SYNCHRONOUS, true},
};

constexpr int kUnmountAttempts = 20;
constexpr std::chrono::milliseconds kUnmountPause{50};

/// The calls for mounts know paths only; this one leads to the very directory that is held.
std::string handle(const Dir& dir) { return "/proc/self/fd/" + std::to_string(dir.fd()); }

[[noreturn]] void refused(const std::string& text, int err) {
    char buffer[128];
    std::string reason = ::strerror_r(err, buffer, sizeof buffer);
    reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0]))); // as Go writes it
    throw Error{ErrorCode::Internal, text + ": " + reason};
}

} // namespace

MountOptions MountOptions::parse(std::string_view text) {
    MountOptions options;
    std::vector<std::string> rest;
    for (auto& part : text::split(text, ',')) {
        const auto* flag =
            std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& f) { return f.name == part; });
        if (flag == std::end(kFlags)) {
            if (!part.empty() && part != "defaults") rest.push_back(std::move(part));
        } else if (flag->set) {
            options.flags |= flag->bit;
        } else {
            options.flags &= ~flag->bit;
        }
    }
    options.data = text::join(rest, ",");
    return options;
}

void mount_filesystem(const std::string& device, const Dir& target, const std::string& type,
                      const MountOptions& options) {
    if (::mount(device.c_str(), handle(target).c_str(), type.c_str(), options.flags, options.data.c_str()) != 0)
        refused(fmt::format("Failed to mount {} on {} using {}", text::quote(device), text::quote(target.path()),
                            text::quote(type)),
                errno);
}

void remount_filesystem(const Dir& mounted, const MountOptions& options) {
    if (::mount("none", handle(mounted).c_str(), nullptr, MS_REMOUNT | options.flags, options.data.c_str()) != 0)
        refused(fmt::format("Failed to remount {}", text::quote(mounted.path())), errno);
}

void bind_directory(const Dir& source, const Dir& target) {
    const UniqueFd tree{static_cast<int>(
        ::syscall(SYS_open_tree, source.fd(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
    if (!tree) throw_errno("open_tree " + source.path());
    if (::syscall(SYS_move_mount, tree.get(), "", target.fd(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) !=
        0)
        throw_errno("mount " + target.path());
}

bool is_mount_point(const Dir& dir) {
    struct statx status {};
    if (::statx(dir.fd(), "", AT_EMPTY_PATH, STATX_TYPE, &status) != 0) throw_errno(dir.path());
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool same_directory(const Dir& a, const Dir& b) {
    struct stat first {
    }, second{};
    if (::fstat(a.fd(), &first) != 0 || ::fstat(b.fd(), &second) != 0) throw_errno(a.path());
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

void unmount(const std::string& path) {
    for (int attempt = 0; attempt < kUnmountAttempts; ++attempt) {
        if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0) continue; // there may be one below it
        if (errno == EINVAL || errno == ENOENT) return;              // nothing is mounted
        if (errno != EBUSY) throw_errno("unmount " + path);
        std::this_thread::sleep_for(kUnmountPause);
    }
    if (::umount2(path.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0 && errno != EINVAL) throw_errno("unmount " + path);
}

} // namespace lxdcore::storage
