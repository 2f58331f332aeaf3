// SPDX-License-Identifier: Apache-2.0
#include "system/shift.hpp"

#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include <lxdcore/error.hpp>

namespace lxdcore {

namespace {

constexpr int kMaxDepth = 4096;

/// The kernel's form of an access list in an extended attribute: a header, then fixed entries.
struct AclEntry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
};
constexpr std::uint16_t kAclUser = 0x02, kAclGroup = 0x08;

/// Kept on a file between taking its owner and giving back what the kernel takes away with that: mode and capabilities.
constexpr const char* kJournal = "trusted.lxdcore.shift";
constexpr const char* kCapability = "security.capability";
constexpr const char* kAccessLists[] = {"system.posix_acl_access", "system.posix_acl_default"};

std::string read_attribute(const std::string& path, const char* name) {
    std::string value(4096, '\0');
    auto size = ::getxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0 && errno == ERANGE) {
        value.resize(XATTR_SIZE_MAX);
        size = ::getxattr(path.c_str(), name, value.data(), value.size());
    }
    value.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return value;
}

void set_attribute(const std::string& path, const char* name, const std::string& value) {
    if (::setxattr(path.c_str(), name, value.data(), value.size(), 0) != 0 && errno != EOPNOTSUPP)
        throw_errno(std::string{"attribute "} + name);
}

bool has_attributes(const std::string& path) {
    const auto size = ::listxattr(path.c_str(), nullptr, 0);
    return size > 0;
}

class Shifter {
public:
    Shifter(const IdMap& from, const IdMap& to, std::stop_token stop) : from_{from}, to_{to}, stop_{std::move(stop)} {}

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
        if (::syncfs(dir.fd()) != 0) throw_errno(dir.path()); // the record of it must not be older than the tree
    }

private:
    /// Nothing for what is there already, and for ids that @p from_ does not have.
    std::optional<std::int64_t> target(std::int64_t id, bool uid) const {
        const auto inside = [&](const IdMap& map) { return uid ? map.ns_uid(id) : map.ns_gid(id); };
        if (from_.ranges.empty() && inside(to_)) return std::nullopt;
        const auto ns = from_.ranges.empty() ? std::optional{id} : inside(from_);
        if (!ns || to_.ranges.empty()) return ns;
        return uid ? to_.host_uid(*ns) : to_.host_gid(*ns);
    }

    void entry(const Dir& dir, const std::string& name, const struct stat& info) {
        const auto fd = dir.open_file(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        own(fd.get(), info, dir.path() + "/" + name);
    }

    void own(int fd, const struct stat& info, const std::string& path) {
        const auto uid = target(info.st_uid, true);
        const auto gid = target(info.st_gid, false);
        const auto take = [&] {
            if ((uid || gid) &&
                ::fchownat(fd, "", static_cast<uid_t>(uid.value_or(-1)), static_cast<gid_t>(gid.value_or(-1)),
                           AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
                throw_errno("shift " + path);
        };
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return take();
        // The link in /proc leads to this very inode, whatever its name is now.
        const auto proc = "/proc/self/fd/" + std::to_string(fd);
        const bool attributes = has_attributes(proc);
        if (attributes)
            for (const char* name : kAccessLists)
                shift_acl(proc, name);
        if (S_ISREG(info.st_mode))
            keep_rights(proc, info.st_mode, attributes, take);
        else
            take();
    }

    /// chown drops set-id bits and capabilities of files. A kill in between must not lose them.
    template <typename Take>
    void keep_rights(const std::string& proc, mode_t mode, bool attributes, Take&& take) const {
        std::string capability;
        if (auto journal = attributes ? read_attribute(proc, kJournal) : std::string{}; journal.size() >= sizeof mode) {
            std::memcpy(&mode, journal.data(), sizeof mode);
            capability = journal.substr(sizeof mode);
        } else {
            if (attributes) capability = shifted_capability(read_attribute(proc, kCapability));
            if (capability.empty() && (mode & (S_ISUID | S_ISGID)) == 0) return take();
            std::string note(sizeof mode, '\0');
            std::memcpy(note.data(), &mode, sizeof mode);
            set_attribute(proc, kJournal, note + capability);
        }
        take();
        if ((mode & (S_ISUID | S_ISGID)) != 0 && ::chmod(proc.c_str(), mode & 07777) != 0)
            throw_errno("mode of " + proc);
        if (!capability.empty()) set_attribute(proc, kCapability, capability);
        if (::removexattr(proc.c_str(), kJournal) != 0 && errno != ENODATA && errno != EOPNOTSUPP)
            throw_errno(std::string{"attribute "} + kJournal);
    }

    /// The value with the id of the root whose capabilities they are in the new map.
    std::string shifted_capability(const std::string& value) const {
        vfs_ns_cap_data data{};
        if (value.size() < XATTR_CAPS_SZ_2 || value.size() > sizeof data) return value;
        std::memcpy(&data, value.data(), value.size());
        const auto before = value.size() == XATTR_CAPS_SZ_3 ? le32toh(data.rootid) : 0;
        const auto root = target(before, true).value_or(before);
        const auto flags = le32toh(data.magic_etc) & VFS_CAP_FLAGS_MASK;
        const bool plain = root == 0;
        data.magic_etc = htole32((plain ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3) | flags);
        data.rootid = htole32(static_cast<std::uint32_t>(root));
        return {reinterpret_cast<const char*>(&data), plain ? std::size_t{XATTR_CAPS_SZ_2} : XATTR_CAPS_SZ_3};
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

/// Whether an id on disk could be one of either map. The ids inside are those below @p plain.
bool share_ids(const IdMap& a, const IdMap& b, std::int64_t plain) {
    const auto ranges = [plain](const IdMap& map) {
        return map.ranges.empty() ? std::vector<IdRange>{{.count = plain}} : map.ranges;
    };
    for (const auto& x : ranges(a))
        for (const auto& y : ranges(b))
            if (x.host < y.host + y.count && y.host < x.host + x.count) return true;
    return false;
}

} // namespace

std::vector<IdMap> shift_route(const IdMap& from, const IdMap& to) {
    if (from == to) return {};
    constexpr std::int64_t kAll = 0x7fffffff;
    if (!share_ids(from, to, kAll)) return {to};
    // By way of ids that neither has, so that each stretch can tell what is done from what is not.
    constexpr std::pair<std::int64_t, std::int64_t> kFree[] = {
        {0x80000000, kAll}, {0x40000000, 0x40000000}, {0xc0000000, 0x3fffffff}};
    for (const auto& [first, count] : kFree) {
        const IdMap between{.ranges = {{.host = first, .ns = 0, .count = count}}};
        if (!share_ids(from, between, count) && !share_ids(between, to, count)) return {between, to};
    }
    throw Error{ErrorCode::BadState, "No unused ids to shift the files by way of"};
}

void shift_tree(const Dir& root, const IdMap& from, const IdMap& to, std::stop_token stop) {
    Shifter{from, to, std::move(stop)}.root(root);
}

} // namespace lxdcore
