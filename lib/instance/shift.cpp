// SPDX-License-Identifier: Apache-2.0
#include "instance/shift.hpp"

#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include <lxdcore/error.hpp>

namespace lxdcore::instance {

namespace {

constexpr int kMaxDepth = 4096;

/// The kernel's form of an access list in an extended attribute: a header, then fixed entries.
struct AclEntry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
};
constexpr std::uint16_t kAclUser = 0x02, kAclGroup = 0x08;

class Shifter {
public:
    Shifter(const IdMap& from, const IdMap& to, std::stop_token stop) : from_{from}, to_{to}, stop_{stop} {}

    void directory(const Dir& dir, int depth) {
        if (depth > kMaxDepth) throw Error{ErrorCode::InvalidArgument, dir.path() + ": directories nested too deeply"};
        for (const auto& name : dir.list()) {
            if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "cancelled"};
            const auto info = dir.stat_if_exists(name);
            if (!info || info->st_dev != device_) continue;
            // A file with several names must not be shifted once for each.
            if (!S_ISDIR(info->st_mode) && info->st_nlink > 1 && !seen_.insert(info->st_ino).second) continue;
            if (S_ISDIR(info->st_mode)) directory(dir.dir(name), depth + 1);
            entry(dir, name, *info);
        }
    }
    void root(const Dir& dir) {
        struct stat info {};
        if (::fstat(dir.fd(), &info) != 0) throw_errno(dir.path());
        device_ = info.st_dev;
        directory(dir, 0);
        own(dir.fd(), info, dir.path());
    }

private:
    std::optional<std::int64_t> target(std::int64_t id, bool uid) const {
        const auto inside = [&](const IdMap& map) {
            return map.ranges.empty() ? std::optional{id} : uid ? map.ns_uid(id) : map.ns_gid(id);
        };
        const auto outside = [&](std::int64_t ns) {
            return to_.ranges.empty() ? std::optional{ns} : uid ? to_.host_uid(ns) : to_.host_gid(ns);
        };
        // Already there from an interrupted run. Ids inside a container do not reach the host ranges in practice.
        if (!to_.ranges.empty() && inside(to_)) return std::nullopt;
        if (to_.ranges.empty() && !inside(from_)) return std::nullopt;
        const auto ns = inside(from_);
        return ns ? outside(*ns) : std::nullopt;
    }

    void entry(const Dir& dir, const std::string& name, const struct stat& info) {
        const auto fd = dir.open_file(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        own(fd.get(), info, dir.path() + "/" + name);
    }

    void own(int fd, const struct stat& info, const std::string& path) {
        const auto uid = target(info.st_uid, true);
        const auto gid = target(info.st_gid, false);
        if (!uid && !gid) return;
        const auto proc = "/proc/self/fd/" + std::to_string(fd);
        const bool attributes = S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
        const auto capability = attributes ? read_attribute(proc, "security.capability") : std::string{};
        if (::fchownat(fd, "", static_cast<uid_t>(uid.value_or(-1)), static_cast<gid_t>(gid.value_or(-1)),
                       AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
            throw_errno("shift " + path);
        if (S_ISLNK(info.st_mode)) return;
        // chown drops set-id bits and capabilities. The link in /proc leads to this very inode, whatever its name is
        // now.
        if ((info.st_mode & (S_ISUID | S_ISGID)) != 0 && ::chmod(proc.c_str(), info.st_mode & 07777) != 0)
            throw_errno("mode of " + path);
        if (!capability.empty()) write_capability(proc, capability);
        if (attributes)
            for (const char* name : {"system.posix_acl_access", "system.posix_acl_default"})
                shift_acl(proc, name);
    }

    static std::string read_attribute(const std::string& path, const char* name) {
        std::array<char, 4096> buffer;
        const auto size = ::getxattr(path.c_str(), name, buffer.data(), buffer.size());
        return size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : std::string{};
    }
    static void set_attribute(const std::string& path, const char* name, const std::string& value) {
        if (::setxattr(path.c_str(), name, value.data(), value.size(), 0) != 0 && errno != EOPNOTSUPP)
            throw_errno(std::string{"attribute "} + name);
    }

    void write_capability(const std::string& path, const std::string& value) const {
        vfs_ns_cap_data data{};
        if (value.size() < XATTR_CAPS_SZ_2 || value.size() > sizeof data) return;
        std::memcpy(&data, value.data(), value.size());
        const auto flags = le32toh(data.magic_etc) & VFS_CAP_FLAGS_MASK;
        const auto root = to_.ranges.empty() ? std::int64_t{0} : to_.host_uid(0).value_or(0);
        const bool plain = root == 0;
        data.magic_etc = htole32((plain ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3) | flags);
        data.rootid = htole32(static_cast<std::uint32_t>(root));
        const std::size_t size = plain ? XATTR_CAPS_SZ_2 : XATTR_CAPS_SZ_3;
        set_attribute(path, "security.capability", std::string(reinterpret_cast<const char*>(&data), size));
    }

    void shift_acl(const std::string& path, const char* name) const {
        auto value = read_attribute(path, name);
        constexpr std::size_t kHeader = 4;
        bool changed = false;
        for (std::size_t at = kHeader; at + sizeof(AclEntry) <= value.size(); at += sizeof(AclEntry)) {
            AclEntry entry;
            std::memcpy(&entry, value.data() + at, sizeof entry);
            const auto tag = le16toh(entry.tag);
            if (tag != kAclUser && tag != kAclGroup) continue;
            const auto id = target(le32toh(entry.id), tag == kAclUser);
            if (!id) continue;
            entry.id = htole32(static_cast<std::uint32_t>(*id));
            std::memcpy(value.data() + at, &entry, sizeof entry);
            changed = true;
        }
        if (changed) set_attribute(path, name, value);
    }

    const IdMap& from_;
    const IdMap& to_;
    std::stop_token stop_;
    dev_t device_ = 0;
    std::set<ino_t> seen_;
};

} // namespace

void shift_tree(const Dir& root, const IdMap& from, const IdMap& to, std::stop_token stop) {
    if (from == to) return;
    if (!from.ranges.empty() && !to.ranges.empty()) {
        // Through the ids inside: each half can be repeated on its own.
        shift_tree(root, from, {}, stop);
        shift_tree(root, {}, to, stop);
        return;
    }
    Shifter{from, to, std::move(stop)}.root(root);
}

} // namespace lxdcore::instance
