// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/file_ops.hpp"
#include "helper/watchdog.hpp"

namespace lxdcore::helper {

namespace {

constexpr std::size_t kBlock = 256u << 10;
constexpr mode_t kFileMode = 0644, kDirMode = 0750; ///< LXD's defaults

void own(int fd, const char* name, int flags, const FileRequest& request) {
    const auto uid = request.on_disk(kUids, request.uid.value_or(0));
    const auto gid = request.on_disk(kGids, request.gid.value_or(0));
    if (::fchownat(fd, name, uid, gid, flags) != 0) throw_file_error("chown", request.path, errno);
}

/// What the kernel copies by itself, or shares where the file system can. True at the end; false where the rest is to
/// be read and written, because it cannot (another file system, a pipe, appending).
bool copy_in_kernel(int in, int out, Watchdog& dog) {
    constexpr std::size_t kStretch = 16u << 20;
    for (;;) {
        dog.beat();
        const ssize_t n = ::copy_file_range(in, nullptr, out, nullptr, kStretch, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false; // a full disk too: the write that follows says so
        struct stat info {};
        // Of some files that have no size, as those of /proc, it copies nothing.
        if (n == 0) return ::fstat(in, &info) == 0 && ::lseek(in, 0, SEEK_CUR) == info.st_size;
    }
}

void copy_content(int in, int out, const std::string& path, Watchdog& dog) {
    if (copy_in_kernel(in, out, dog)) return;
    const auto block = std::make_unique<char[]>(kBlock);
    for (;;) {
        dog.pause();
        const ssize_t n = ::read(in, block.get(), kBlock);
        dog.beat();
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read content");
        if (n == 0) return;
        for (ssize_t done = 0; done < n;) {
            const ssize_t w = ::write(out, block.get() + done, static_cast<std::size_t>(n - done));
            if (w < 0 && errno == EINTR) continue;
            if (w < 0) throw_file_error("write", path, errno);
            done += w;
        }
    }
}

/// An existing file keeps owner and mode; only a regular one is opened for writing.
UniqueFd open_existing(const GuestRoot& root, const FileRequest& request) {
    const UniqueFd found = root.try_open(request.path, O_PATH);
    if (!found) {
        if (errno == ENOENT) return {};
        throw_file_error("open", request.path, errno);
    }
    struct stat info {};
    if (::fstat(found.get(), &info) != 0) throw_file_error("open", request.path, errno);
    if (!S_ISREG(info.st_mode)) throw_file_error("open", request.path, S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
    UniqueFd fd = root.reopen(found.get(), O_WRONLY | O_NOCTTY | (request.append ? O_APPEND : O_TRUNC));
    if (!fd) throw_file_error("open", request.path, errno);
    return fd;
}

void put_content(const GuestRoot& root, const FileRequest& request, int data, Watchdog& dog) {
    UniqueFd fd = open_existing(root, request);
    if (fd) return copy_content(data, fd.get(), request.path, dog);
    if (request.append) throw_file_error("open", request.path, ENOENT);
    // The kernel follows a dangling link within the root; what appears meanwhile is written only if it is a file.
    fd = root.try_open(request.path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, 0600);
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) throw_file_error("open", request.path, errno);
    if (!S_ISREG(info.st_mode)) throw_file_error("open", request.path, EINVAL);
    own(fd.get(), "", AT_EMPTY_PATH, request);
    copy_content(data, fd.get(), request.path, dog);
    // Last: writing takes away set-user-id bits.
    if (::fchmod(fd.get(), request.mode.value_or(kFileMode) & 0777) != 0)
        throw_file_error("chmod", request.path, errno);
}

void put_directory(const GuestRoot& root, const FileRequest& request) {
    if (root.try_open(request.path, O_PATH | O_NOFOLLOW)) return; // whatever it is, LXD says yes
    const auto entry = root.entry("mkdir", request.path);
    if (::mkdirat(entry.parent.get(), entry.name.c_str(), 0700) != 0) throw_file_error("mkdir", request.path, errno);
    const UniqueFd made{
        ::openat(entry.parent.get(), entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!made) throw_file_error("mkdir", request.path, errno);
    own(made.get(), "", AT_EMPTY_PATH, request);
    if (::fchmod(made.get(), request.mode.value_or(kDirMode) & 0777) != 0)
        throw_file_error("chmod", request.path, errno);
}

/// Always root's: LXD ignores the owner that a client names for a link.
void put_symlink(const GuestRoot& root, const FileRequest& request) {
    const auto entry = root.entry("symlink", request.path);
    const auto make = [&] { return ::symlinkat(request.target.c_str(), entry.parent.get(), entry.name.c_str()) == 0; };
    bool made = make();
    struct stat info {};
    // Pushing a tree again replaces its links, as with LXD; anything else in the way stays.
    if (!made && errno == EEXIST &&
        ::fstatat(entry.parent.get(), entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
        made = ::unlinkat(entry.parent.get(), entry.name.c_str(), 0) == 0 && make();
    if (!made) throw_file_error("symlink", request.target + " " + request.path, errno);
    const auto uid = request.on_disk(kUids, 0);
    const auto gid = request.on_disk(kGids, 0);
    if (::fchownat(entry.parent.get(), entry.name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        throw_file_error("chown", request.path, errno);
}

} // namespace

void put_file(const GuestRoot& root, const FileRequest& request, UniqueFd data, Reply&, Watchdog& dog) {
    ::umask(0);
    if (request.type == "directory") return put_directory(root, request);
    if (request.type == "symlink") return put_symlink(root, request);
    put_content(root, request, data.get(), dog);
}

void remove_file(const GuestRoot& root, const FileRequest& request) {
    const auto entry = root.entry("remove", request.path);
    // rmdir of the root itself says EINVAL for "."; to clients it is simply in use.
    if (entry.name == ".") throw_file_error("remove", request.path, EBUSY);
    if (::unlinkat(entry.parent.get(), entry.name.c_str(), 0) == 0) return;
    if (errno != EISDIR || ::unlinkat(entry.parent.get(), entry.name.c_str(), AT_REMOVEDIR) != 0)
        throw_file_error("remove", request.path, errno);
}

} // namespace lxdcore::helper
