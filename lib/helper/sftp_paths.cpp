// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <limits>

#include "helper/sftp_server.hpp"

namespace lxdcore::helper {

using sftp::Request;

namespace {

constexpr mode_t kDirMode = 0755;

std::string joined(const char* step, std::string_view first, std::string_view second) {
    return std::string{step}.append(first).append(" ").append(second);
}

} // namespace

UniqueFd SftpServer::open_path(const char* step, const std::string& path, int flags) const {
    UniqueFd fd = root_.try_open(path, flags);
    if (!fd) throw Failure{step + path, errno};
    return fd;
}

GuestRoot::Entry SftpServer::entry(const std::string& step, const std::string& path) const {
    auto found = root_.try_entry(path);
    if (path.empty() || !found.parent) throw Failure{step, path.empty() ? ENOENT : errno};
    return found;
}

/// Both times are that of the last change, as LXD tells them.
sftp::Attributes SftpServer::attributes_of(const struct stat& info) const {
    const auto time = static_cast<std::uint32_t>(info.st_mtim.tv_sec);
    return {.size = static_cast<std::uint64_t>(info.st_size),
            .owner = std::pair{static_cast<std::uint32_t>(ids_.inside(kUids, info.st_uid)),
                               static_cast<std::uint32_t>(ids_.inside(kGids, info.st_gid))},
            .mode = info.st_mode,
            .times = std::pair{time, time}};
}

void SftpServer::own(int dir, const char* name, int flags, std::int64_t uid, std::int64_t gid,
                     const std::string& path) const {
    const auto disk_uid = ids_.on_disk(kUids, uid), disk_gid = ids_.on_disk(kGids, gid);
    if (!disk_uid || !disk_gid) throw Failure{"chown " + path, EINVAL};
    if (::fchownat(dir, name, *disk_uid, *disk_gid, flags) != 0) throw Failure{"chown " + path, errno};
}

void SftpServer::stat(const Request& request, const char* step, int flags) {
    const std::string path{request.path};
    const auto fd = open_path(step, path, O_PATH | flags);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) throw Failure{step + path, errno};
    out_.attributes(request.id, attributes_of(info));
}

/// In the order of LXD's server, which ends at what fails: size, mode, times, owner. Of the mode only the permissions.
void SftpServer::set_path(const Request& request) {
    const std::string path{request.path};
    const auto& wanted = request.attributes;
    const char* const step = wanted.size ? "truncate " : wanted.mode ? "chmod " : wanted.times ? "chtimes " : "chown ";
    if (!wanted.size && !wanted.mode && !wanted.times && !wanted.owner) return ok(request);
    const auto fd = open_path(step, path, O_PATH);
    if (wanted.size) {
        struct stat info {};
        if (::fstat(fd.get(), &info) != 0) throw Failure{step + path, errno};
        if (!S_ISREG(info.st_mode)) throw Failure{step + path, S_ISDIR(info.st_mode) ? EISDIR : EINVAL};
        if (*wanted.size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
            throw Failure{step + path, EINVAL};
        const UniqueFd file = root_.reopen(fd.get(), O_WRONLY | O_NOCTTY | O_NONBLOCK);
        if (!file || ::ftruncate(file.get(), static_cast<off_t>(*wanted.size)) != 0) throw Failure{step + path, errno};
    }
    if (wanted.mode && !root_.set_mode(fd.get(), *wanted.mode & 0777)) throw Failure{"chmod " + path, errno};
    if (wanted.times) {
        const timespec times[2] = {{wanted.times->first, 0}, {wanted.times->second, 0}};
        if (!root_.set_times(fd.get(), times)) throw Failure{"chtimes " + path, errno};
    }
    if (wanted.owner) own(fd.get(), "", AT_EMPTY_PATH, wanted.owner->first, wanted.owner->second, path);
    ok(request);
}

void SftpServer::remove(const Request& request) {
    const std::string path{request.path};
    const auto found = entry("remove " + path, path);
    if (found.name == ".") throw Failure{"remove " + path, EBUSY};
    if (::unlinkat(found.parent.get(), found.name.c_str(), 0) == 0) return ok(request);
    if (errno != EISDIR || ::unlinkat(found.parent.get(), found.name.c_str(), AT_REMOVEDIR) != 0)
        throw Failure{"remove " + path, errno};
    ok(request);
}

void SftpServer::make_directory(const Request& request) {
    const std::string path{request.path};
    const auto found = entry("mkdir " + path, path);
    if (::mkdirat(found.parent.get(), found.name.c_str(), kDirMode) != 0) throw Failure{"mkdir " + path, errno};
    own(found.parent.get(), found.name.c_str(), AT_SYMLINK_NOFOLLOW, 0, 0, path);
    ok(request);
}

/// Replaces what is there, but never a directory, as Go's rename.
void SftpServer::rename(const Request& request) {
    const std::string from{request.path}, to{request.second}, step = joined("rename ", from, to);
    const auto old = entry(step, from), fresh = entry(step, to);
    struct stat before {
    }, after{};
    const bool known = ::fstatat(old.parent.get(), old.name.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0;
    const int error = errno;
    if (::fstatat(fresh.parent.get(), fresh.name.c_str(), &after, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(after.st_mode)) {
        if (!known) throw Failure{step, error};
        if (before.st_dev != after.st_dev || before.st_ino != after.st_ino) throw Failure{step, EEXIST};
    }
    if (::renameat(old.parent.get(), old.name.c_str(), fresh.parent.get(), fresh.name.c_str()) != 0)
        throw Failure{step, errno};
    ok(request);
}

void SftpServer::read_link(const Request& request) {
    const std::string path{request.path};
    const auto fd = open_path("readlink ", path, O_PATH | O_NOFOLLOW);
    std::string target(PATH_MAX, '\0');
    const ssize_t n = ::readlinkat(fd.get(), "", target.data(), target.size());
    // Asked of the descriptor of something else, the kernel says that nothing is there.
    if (n < 0) throw Failure{"readlink " + path, errno == ENOENT ? EINVAL : errno};
    target.resize(static_cast<std::size_t>(n));
    out_.name(request.id, target);
}

void SftpServer::make_symlink(const Request& request) {
    const std::string target{request.path}, link{request.second}, step = joined("symlink ", target, link);
    const auto found = entry(step, link);
    if (::symlinkat(target.c_str(), found.parent.get(), found.name.c_str()) != 0) throw Failure{step, errno};
    own(found.parent.get(), found.name.c_str(), AT_SYMLINK_NOFOLLOW, 0, 0, link);
    ok(request);
}

void SftpServer::make_hardlink(const Request& request) {
    const std::string from{request.path}, to{request.second}, step = joined("link ", from, to);
    const auto old = entry(step, from), fresh = entry(step, to);
    if (::linkat(old.parent.get(), old.name.c_str(), fresh.parent.get(), fresh.name.c_str(), 0) != 0)
        throw Failure{step, errno};
    ok(request);
}

void SftpServer::filesystem(const Request& request) {
    const std::string path{request.path};
    const UniqueFd fd = root_.try_open(path, O_PATH);
    struct statfs info {};
    if (!fd || ::fstatfs(fd.get(), &info) != 0) throw Failure{"", errno};
    out_.begin(sftp::Type::ExtendedReply, request.id);
    for (const std::uint64_t value :
         {static_cast<std::uint64_t>(info.f_bsize), static_cast<std::uint64_t>(info.f_frsize), info.f_blocks,
          info.f_bfree, info.f_bavail, info.f_files, info.f_ffree, info.f_ffree, std::uint64_t{0},
          static_cast<std::uint64_t>(info.f_flags), static_cast<std::uint64_t>(info.f_namelen)})
        out_.number64(value);
    out_.end();
}

} // namespace lxdcore::helper
