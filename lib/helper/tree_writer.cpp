// SPDX-License-Identifier: Apache-2.0
#include "helper/tree_writer.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

namespace {

[[noreturn]] void fail(const std::string& path) {
    if (errno == ELOOP || errno == EXDEV || errno == ENOTDIR)
        throw Error{ErrorCode::InvalidArgument, "Image entry " + path + " goes through something that is no directory"};
    throw_errno("unpack " + path);
}

void set_xattrs(int fd, const std::string& path, const EntryAttributes& attributes) {
    for (const auto& [name, value] : attributes.xattrs)
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != EOPNOTSUPP) fail(path);
}

/// Owner first: changing it clears the setuid bit and file capabilities.
void apply(int fd, const std::string& path, const EntryAttributes& attributes) {
    if (::fchown(fd, static_cast<uid_t>(attributes.uid), static_cast<gid_t>(attributes.gid)) != 0) fail(path);
    if (::fchmod(fd, attributes.mode & 07777) != 0) fail(path);
    set_xattrs(fd, path, attributes);
    const timespec times[2] = {attributes.mtime, attributes.mtime};
    if (::futimens(fd, times) != 0) fail(path);
}

} // namespace

std::string TreeWriter::normalise(std::string_view name) {
    const auto refuse = [&] {
        throw Error{ErrorCode::InvalidArgument, "Image entry name " + std::string{name} + " is not allowed"};
    };
    if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos || name.size() > 4000)
        refuse();
    std::string result;
    auto rest = name;
    while (rest.starts_with("./"))
        rest.remove_prefix(2);
    if (rest.ends_with('/')) rest.remove_suffix(1);
    if (rest.empty() || rest == ".") return {};
    for (std::size_t at = 0; at <= rest.size();) {
        const auto end = std::min(rest.find('/', at), rest.size());
        const auto part = rest.substr(at, end - at);
        if (part.empty() || part == "." || part == ".." || part.size() > 255) refuse();
        if (!result.empty()) result += '/';
        result += part;
        at = end + 1;
    }
    return result;
}

UniqueFd TreeWriter::open_dir(const std::string& path) const {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd{static_cast<int>(::syscall(SYS_openat2, root_, path.empty() ? "." : path.c_str(), &how, sizeof how))};
    if (!fd && errno != ENOENT) fail(path);
    return fd;
}

void TreeWriter::make_dirs(const std::string& path) {
    for (std::size_t at = 0; at != std::string::npos;) {
        at = path.find('/', at + 1);
        const auto part = path.substr(0, at);
        if (open_dir(part)) continue;
        std::string leaf;
        const auto slash = part.rfind('/');
        const auto parent = open_dir(slash == std::string::npos ? "" : part.substr(0, slash));
        leaf = slash == std::string::npos ? part : part.substr(slash + 1);
        if (!parent || ::mkdirat(parent.get(), leaf.c_str(), 0755) != 0) fail(part);
    }
}

int TreeWriter::parent_of(const std::string& path, std::string& leaf) {
    if (path.empty()) throw Error{ErrorCode::InvalidArgument, "Image entry has no name"};
    const auto slash = path.rfind('/');
    const auto parent = slash == std::string::npos ? std::string{} : path.substr(0, slash);
    leaf = slash == std::string::npos ? path : path.substr(slash + 1);
    if (cached_ && cached_path_ == parent) return cached_.get();
    cached_ = open_dir(parent);
    if (!cached_) {
        make_dirs(parent);
        cached_ = open_dir(parent);
        if (!cached_) fail(parent);
    }
    cached_path_ = parent;
    return cached_.get();
}

/// A later entry replaces an earlier one of its name, but never a directory.
void TreeWriter::make_room(int parent, const std::string& leaf) {
    if (::unlinkat(parent, leaf.c_str(), 0) != 0 && errno != ENOENT) fail(leaf);
}

void TreeWriter::directory(const std::string& path, const EntryAttributes& attributes) {
    if (!path.empty()) {
        std::string leaf;
        const int parent = parent_of(path, leaf);
        if (::mkdirat(parent, leaf.c_str(), 0700) != 0) {
            struct stat status {};
            if (errno != EEXIST || ::fstatat(parent, leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) fail(path);
            if (!S_ISDIR(status.st_mode)) {
                make_room(parent, leaf);
                if (::mkdirat(parent, leaf.c_str(), 0700) != 0) fail(path);
            }
        }
    }
    late_.push_back({path, attributes});
}

UniqueFd TreeWriter::file(const std::string& path) {
    std::string leaf;
    const int parent = parent_of(path, leaf);
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd fd{::openat(parent, leaf.c_str(), flags, 0600)};
    if (!fd && errno == EEXIST) {
        make_room(parent, leaf);
        fd.reset(::openat(parent, leaf.c_str(), flags, 0600));
    }
    if (!fd) fail(path);
    return fd;
}

void TreeWriter::finish_file(int fd, const std::string& path, const EntryAttributes& attributes) {
    apply(fd, path, attributes);
}

void TreeWriter::symlink(const std::string& path, const std::string& target, const EntryAttributes& attributes) {
    std::string leaf;
    const int parent = parent_of(path, leaf);
    make_room(parent, leaf);
    if (target.empty() || ::symlinkat(target.c_str(), parent, leaf.c_str()) != 0) fail(path);
    if (::fchownat(parent, leaf.c_str(), static_cast<uid_t>(attributes.uid), static_cast<gid_t>(attributes.gid),
                   AT_SYMLINK_NOFOLLOW) != 0)
        fail(path);
    const timespec times[2] = {attributes.mtime, attributes.mtime};
    if (::utimensat(parent, leaf.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail(path);
}

void TreeWriter::hardlink(const std::string& path, const std::string& existing) {
    const auto slash = existing.rfind('/');
    const auto source = open_dir(slash == std::string::npos ? "" : existing.substr(0, slash));
    const auto source_leaf = slash == std::string::npos ? existing : existing.substr(slash + 1);
    if (!source || source_leaf.empty())
        throw Error{ErrorCode::InvalidArgument, "Image entry " + path + " links to what is not in the image"};
    std::string leaf;
    const int parent = parent_of(path, leaf);
    if (path == existing) return;
    make_room(parent, leaf);
    if (::linkat(source.get(), source_leaf.c_str(), parent, leaf.c_str(), 0) != 0) fail(path);
}

void TreeWriter::fifo(const std::string& path, const EntryAttributes& attributes) { node(path, S_IFIFO, attributes); }

void TreeWriter::whiteout(const std::string& path, const EntryAttributes& attributes) {
    node(path, S_IFCHR, attributes);
}

void TreeWriter::node(const std::string& path, mode_t type, const EntryAttributes& attributes) {
    std::string leaf;
    const int parent = parent_of(path, leaf);
    make_room(parent, leaf);
    if (::mknodat(parent, leaf.c_str(), type | 0600, 0) != 0 ||
        ::fchownat(parent, leaf.c_str(), static_cast<uid_t>(attributes.uid), static_cast<gid_t>(attributes.gid),
                   AT_SYMLINK_NOFOLLOW) != 0 ||
        ::fchmodat(parent, leaf.c_str(), attributes.mode & 07777, 0) != 0)
        fail(path);
}

void TreeWriter::finish() {
    for (auto it = late_.rbegin(); it != late_.rend(); ++it) {
        const auto dir = open_dir(it->path);
        if (dir) apply(dir.get(), it->path, it->attributes);
    }
}

} // namespace lxdcore::helper
