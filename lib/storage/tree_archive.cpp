// SPDX-License-Identifier: Apache-2.0
#include "storage/tree_archive.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/block_content.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::size_t kBuffer = 256 << 10;
constexpr std::int64_t kSparseFrom = 64 << 10;
constexpr std::size_t kMostExtents = 4096;
constexpr std::int64_t kExtentStep = 4096;
/// Names remembered for hard links: what has more is written as files of their own.
constexpr std::size_t kMostLinks = 1'000'000;

bool wanted_xattr(std::string_view name) {
    return name == "security.capability" || name.starts_with("user.") || name.starts_with("system.posix_acl_");
}

std::vector<std::pair<std::string, std::string>> xattrs_of(int fd) {
    std::vector<std::pair<std::string, std::string>> result;
    std::array<char, 1024> some{};
    std::string names;
    auto size = ::flistxattr(fd, some.data(), some.size());
    if (size > 0) names.assign(some.data(), static_cast<std::size_t>(size));
    if (size < 0 && errno == ERANGE) {
        names.resize(XATTR_LIST_MAX);
        size = ::flistxattr(fd, names.data(), names.size());
        names.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    }
    for (std::size_t at = 0; at < names.size();) {
        const std::string name{names.c_str() + at};
        at += name.size() + 1;
        if (!wanted_xattr(name)) continue;
        std::string value(XATTR_SIZE_MAX, '\0');
        const auto n = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (n < 0) continue; // gone meanwhile
        value.resize(static_cast<std::size_t>(n));
        result.emplace_back(name, std::move(value));
    }
    return result;
}

/// Where a file has data, by whole pages; empty for one that is dense, or too torn to say.
std::vector<TarEntry::Extent> extents_of(int fd, std::int64_t size) {
    std::vector<TarEntry::Extent> extents;
    for (off_t at = 0; at < size;) {
        const auto data = ::lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break; // a hole to the end
        const auto hole = data < 0 ? data : ::lseek(fd, data, SEEK_HOLE);
        if (hole < 0 || extents.size() >= kMostExtents) return {};
        const auto first = data / kExtentStep * kExtentStep;
        const auto end = std::min<std::int64_t>((hole + kExtentStep - 1) / kExtentStep * kExtentStep, size);
        if (!extents.empty() && first <= extents.back().offset + extents.back().size)
            extents.back().size = end - extents.back().offset;
        else
            extents.push_back({first, end - first});
        at = std::max<off_t>(hole, end);
    }
    if (extents.empty()) extents.push_back({size, 0});
    return extents;
}

bool has_holes(const struct stat& status) {
    return status.st_size >= kSparseFrom && status.st_blocks * 512 < status.st_size - kExtentStep;
}

/// What of an open file an entry has announced.
class Content {
public:
    Content(TarWriter& tar, std::stop_token stop) : tar_{tar}, stop_{std::move(stop)}, buffer_(kBuffer) {}

    void write(int fd, const TarEntry& entry) {
        if (entry.extents.empty()) return part(fd, 0, entry.size, entry.name);
        for (const auto& extent : entry.extents)
            part(fd, extent.offset, extent.size, entry.name);
    }

private:
    /// What a file has lost since it was announced is zeros.
    void part(int fd, off_t from, std::int64_t size, const std::string& name) {
        while (size > 0) {
            if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
            const auto most = std::min<std::size_t>(buffer_.size(), static_cast<std::size_t>(size));
            auto n = ::pread(fd, buffer_.data(), most, from);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(name);
            if (n == 0) {
                std::fill_n(buffer_.begin(), most, '\0');
                n = static_cast<ssize_t>(most);
            }
            tar_.data(buffer_.data(), static_cast<std::size_t>(n));
            from += n;
            size -= n;
        }
    }

    TarWriter& tar_;
    std::stop_token stop_;
    std::vector<char> buffer_;
};

class Walk {
public:
    Walk(const Dir& tree, TarWriter& tar, const ArchiveOptions& options)
        : tree_{tree}, tar_{tar}, options_{options}, content_{tar, options.stop} {}

    void run() {
        if (!options_.prefix.empty()) directory_entry(tree_, "");
        enter("");
        while (!levels_.empty()) {
            auto& level = levels_.back();
            if (level.next == level.names.size()) {
                levels_.pop_back();
                continue;
            }
            const auto name = std::exchange(level.names[level.next++], {});
            if (levels_.size() == 1 && options_.wanted && !options_.wanted(name)) continue;
            one(level, name);
        }
    }

private:
    struct Level {
        std::string path; ///< from the top of the tree
        std::vector<std::string> names;
        std::size_t next = 0;
        std::optional<Dir> dir; ///< of the deepest level only, so that few descriptors are open
    };

    std::string stored(const std::string& path) const {
        if (options_.prefix.empty()) return path;
        return path.empty() ? options_.prefix : options_.prefix + "/" + path;
    }
    void enter(const std::string& path) {
        auto dir = path.empty() ? tree_.clone() : tree_.dir(path);
        auto names = dir.list();
        if (!levels_.empty()) levels_.back().dir.reset();
        levels_.push_back({path, std::move(names), 0, std::move(dir)});
    }

    void one(Level& level, const std::string& name) {
        if (options_.stop.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
        if (!level.dir) level.dir = level.path.empty() ? tree_.clone() : tree_.dir(level.path);
        const auto path = level.path.empty() ? name : level.path + "/" + name;
        const auto status = level.dir->stat_if_exists(name);
        if (!status || S_ISSOCK(status->st_mode)) return;
        if (S_ISDIR(status->st_mode)) {
            directory_entry(level.dir->dir(name), path);
            return enter(path); // ends the reference to the level
        }
        auto entry = entry_of(*status, path);
        if (status->st_nlink > 1 && known(*status, entry)) return;
        if (S_ISREG(status->st_mode)) return file(*level.dir, name, path);
        if (S_ISLNK(status->st_mode)) {
            const auto link = level.dir->open_file(name, O_PATH | O_NOFOLLOW);
            std::array<char, PATH_MAX> target{};
            const auto n = ::readlinkat(link.get(), "", target.data(), target.size());
            if (n < 0) throw_errno(tree_.path() + "/" + path);
            entry.type = TarEntry::Type::Symlink;
            entry.target.assign(target.data(), static_cast<std::size_t>(n));
        } else if (S_ISFIFO(status->st_mode)) {
            entry.type = TarEntry::Type::Fifo;
        } else {
            entry.type = S_ISCHR(status->st_mode) ? TarEntry::Type::CharDevice : TarEntry::Type::BlockDevice;
            entry.major = major(status->st_rdev);
            entry.minor = minor(status->st_rdev);
        }
        tar_.entry(entry);
    }

    std::int64_t id(std::int64_t id) const { return options_.map_id ? options_.map_id(id) : id; }
    TarEntry entry_of(const struct stat& status, const std::string& path) const {
        return {.name = stored(path),
                .uid = id(status.st_uid),
                .gid = id(status.st_gid),
                .mode = status.st_mode & 07777,
                .mtime = status.st_mtim};
    }
    void directory_entry(const Dir& dir, const std::string& path) {
        auto entry = entry_of(dir.stat(""), path);
        entry.type = TarEntry::Type::Directory;
        entry.name += '/';
        entry.xattrs = xattrs_of(dir.fd());
        tar_.entry(entry);
    }

    /// Writes a further name of a file that the archive has.
    bool known(const struct stat& status, TarEntry& entry) {
        const std::pair key{status.st_dev, status.st_ino};
        if (const auto it = links_.find(key); it != links_.end()) {
            entry.type = TarEntry::Type::Hardlink;
            entry.target = it->second;
            tar_.entry(entry);
            return true;
        }
        if (links_.size() < kMostLinks) links_.emplace(key, entry.name);
        return false;
    }

    void file(const Dir& dir, const std::string& name, const std::string& path) {
        UniqueFd fd;
        try {
            fd = dir.open_file(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::NotFound) return; // gone meanwhile
            throw;
        }
        struct stat status {};
        if (::fstat(fd.get(), &status) != 0) throw_errno(tree_.path() + "/" + path);
        if (!S_ISREG(status.st_mode)) return; // something else took its place
        auto entry = entry_of(status, path);
        entry.size = status.st_size;
        entry.xattrs = xattrs_of(fd.get());
        if (has_holes(status)) entry.extents = extents_of(fd.get(), status.st_size);
        tar_.entry(entry);
        content_.write(fd.get(), entry);
    }

    const Dir& tree_;
    TarWriter& tar_;
    const ArchiveOptions& options_;
    Content content_;
    std::vector<Level> levels_;
    std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

} // namespace

void archive_tree(const Dir& tree, TarWriter& tar, const ArchiveOptions& options) { Walk{tree, tar, options}.run(); }

void archive_file(int fd, std::int64_t size, const std::string& name, TarWriter& tar, const std::stop_token& stop) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw_errno(name);
    TarEntry entry{.name = name, .mode = 0600, .size = size, .mtime = status.st_mtim};
    if (S_ISREG(status.st_mode) && has_holes(status)) entry.extents = extents_of(fd, status.st_size);
    tar.entry(entry);
    Content{tar, stop}.write(fd, entry);
}

std::int64_t archive_bytes(const Dir& tree, const std::stop_token& stop) {
    std::int64_t bytes = 0;
    std::vector<std::string> left{""};
    while (!left.empty() && !stop.stop_requested()) {
        const auto path = std::move(left.back());
        left.pop_back();
        try {
            const auto dir = tree.dir(path);
            for (const auto& name : dir.list()) {
                struct stat status {};
                if (::fstatat(dir.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
                if (S_ISDIR(status.st_mode)) left.push_back(path.empty() ? name : path + "/" + name);
                if (S_ISREG(status.st_mode)) bytes += std::min<std::int64_t>(status.st_size, status.st_blocks * 512);
            }
        } catch (const Error&) { // removed, or deeper than a path can be
        }
    }
    return bytes;
}

} // namespace lxdcore::storage
