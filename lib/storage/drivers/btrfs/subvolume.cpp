// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/btrfs/subvolume.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include <btrfsutil.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <lxdcore/error.hpp>

namespace lxdcore::storage::btrfs {

namespace {

constexpr std::uint64_t kReadOnlyRoot = 1; // BTRFS_ROOT_SUBVOL_RDONLY
constexpr int kRounds = 10;

/// libbtrfsutil leaves errno as it was at the failed call.
void check(btrfs_util_error result, const std::string& what) {
    if (result == BTRFS_UTIL_OK) return;
    if (errno == 0) throw Error{ErrorCode::Internal, what + ": " + btrfs_util_strerror(result)};
    throw_errno(what);
}

struct Place {
    std::string folder, leaf;
};

Place place_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? Place{"", path} : Place{path.substr(0, slash), path.substr(slash + 1)};
}

Dir folder_of(const Dir& top, const Place& place) { return place.folder.empty() ? top.clone() : top.dir(place.folder); }

} // namespace

bool is_btrfs(const Dir& dir) {
    struct statfs fs {};
    if (::fstatfs(dir.fd(), &fs) != 0) throw_errno(dir.path());
    return static_cast<unsigned long>(fs.f_type) == BTRFS_SUPER_MAGIC;
}

bool is_subvolume(const Dir& dir) { return is_btrfs(dir) && btrfs_util_is_subvolume_fd(dir.fd()) == BTRFS_UTIL_OK; }

std::uint64_t id_of(const Dir& subvolume) {
    std::uint64_t id = 0;
    check(btrfs_util_subvolume_id_fd(subvolume.fd(), &id), subvolume.path());
    return id;
}

std::vector<Nested> nested(const Dir& subvolume) {
    btrfs_util_subvolume_iterator* made = nullptr;
    check(btrfs_util_create_subvolume_iterator_fd(subvolume.fd(), 0, 0, &made), subvolume.path());
    const std::unique_ptr<btrfs_util_subvolume_iterator, void (*)(btrfs_util_subvolume_iterator*)> iterator{
        made, btrfs_util_destroy_subvolume_iterator};
    std::vector<Nested> result;
    for (;;) {
        char* path = nullptr;
        struct btrfs_util_subvolume_info info {};
        const auto next = btrfs_util_subvolume_iterator_next_info(iterator.get(), &path, &info);
        if (next == BTRFS_UTIL_ERROR_STOP_ITERATION) return result;
        if (next == BTRFS_UTIL_ERROR_SUBVOLUME_NOT_FOUND) continue; // deleted meanwhile
        check(next, subvolume.path());
        result.push_back({.id = info.id, .path = path, .read_only = (info.flags & kReadOnlyRoot) != 0});
        std::free(path);
    }
}

void create(const Dir& parent, const std::string& name, mode_t mode) {
    check(btrfs_util_create_subvolume_fd(parent.fd(), name.c_str(), 0, nullptr, nullptr),
          "create subvolume " + parent.path() + "/" + name);
    const auto made = parent.dir(name);
    if (::fchmod(made.fd(), mode) != 0) throw_errno(made.path());
}

bool read_only(const Dir& subvolume) {
    bool is = false;
    check(btrfs_util_get_subvolume_read_only_fd(subvolume.fd(), &is), subvolume.path());
    return is;
}

void set_read_only(const Dir& subvolume, bool on) {
    check(btrfs_util_set_subvolume_read_only_fd(subvolume.fd(), on), subvolume.path());
}

void snapshot(const Dir& source, const Dir& parent, const std::string& name) {
    const auto take = [](const Dir& from, const Dir& into, const std::string& leaf) {
        check(btrfs_util_create_snapshot_fd2(from.fd(), into.fd(), leaf.c_str(), 0, nullptr, nullptr),
              "snapshot " + from.path());
    };
    take(source, parent, name);
    const auto inner = nested(source);
    if (inner.empty()) return;
    const auto top = parent.dir(name);
    std::vector<Dir> close; // once all that belongs into them is there
    for (const auto& part : inner) {
        const auto place = place_of(part.path);
        try {
            const auto from = source.dir(part.path);
            if (!is_subvolume(from) || id_of(from) != part.id) continue; // something else has its place by now
            const auto into = folder_of(top, place);
            into.remove(place.leaf); // the empty directory that stands for it in a snapshot
            take(from, into, place.leaf);
            if (part.read_only) close.push_back(into.dir(place.leaf));
        } catch (const Error& error) { // gone, or moved by the instance that runs
            if (error.code() != ErrorCode::NotFound && error.code() != ErrorCode::InvalidArgument) throw;
        }
    }
    for (const auto& dir : close)
        set_read_only(dir, true);
}

void remove(const Dir& parent, const std::string& name) {
    const auto status = parent.stat_if_exists(name);
    if (!status) return;
    if (!S_ISDIR(status->st_mode)) return parent.remove(name);
    if (const auto dir = parent.dir(name); !is_subvolume(dir)) { // perhaps one that a stream was received into
        for (const auto& item : dir.list()) {
            const auto inner = dir.stat_if_exists(item);
            if (inner && S_ISDIR(inner->st_mode) && is_subvolume(dir.dir(item))) remove(dir, item);
        }
        return parent.remove_tree(name);
    }
    for (int round = 0;; ++round) {
        {
            const auto top = parent.dir(name);
            if (read_only(top)) set_read_only(top, false); // entries of a closed one cannot go
            const auto inner = nested(top);
            for (const auto& part : inner)
                if (part.read_only) set_read_only(top.dir(part.path), false);
            for (auto part = inner.rbegin(); part != inner.rend(); ++part) {
                const auto place = place_of(part->path);
                const auto folder = folder_of(top, place);
                const auto gone = btrfs_util_delete_subvolume_fd(folder.fd(), place.leaf.c_str(), 0);
                if (gone != BTRFS_UTIL_OK && errno != ENOENT && errno != ENOTEMPTY)
                    check(gone, "delete subvolume " + top.path() + "/" + part->path);
            }
        }
        const auto gone = btrfs_util_delete_subvolume_fd(parent.fd(), name.c_str(), 0);
        if (gone == BTRFS_UTIL_OK || errno == ENOENT) return;
        if (errno != ENOTEMPTY || round >= kRounds) check(gone, "delete subvolume " + parent.path() + "/" + name);
    }
}

} // namespace lxdcore::storage::btrfs
