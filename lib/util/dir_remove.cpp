// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

/// Deeper directories are first moved to the top of the tree, so that a guest's endless chain of directories costs
/// neither descriptors nor stack.
constexpr int deepest = 64;

/// A directory that is no link and no mount point; -1 with errno otherwise.
int open_plain_directory(int parent, const char* name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return static_cast<int>(::syscall(SYS_openat2, parent, name, &how, sizeof how));
}

/// One removal of one tree; the first failure is kept and the rest is still removed.
class TreeRemoval {
public:
    explicit TreeRemoval(int top) : top_{top} {}

    void empty_all() {
        do {
            moved_ = false;
            empty(top_, 0);
        } while (moved_ && failure_ == 0);
    }
    int failure() const noexcept { return failure_; }
    const std::string& failed_name() const noexcept { return failed_name_; }

private:
    void note(const char* name, int err) {
        if (failure_ != 0) return;
        failure_ = err;
        failed_name_ = name;
    }

    void empty(int directory, int depth) {
        // A second descriptor: reading the directory moves the offset of the first.
        UniqueFd reading{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        const std::unique_ptr<DIR, int (*)(DIR*)> stream{reading ? ::fdopendir(reading.get()) : nullptr, ::closedir};
        if (!stream) return note(".", errno);
        reading.release();
        while (const dirent* entry = ::readdir(stream.get())) {
            const std::string_view name{entry->d_name};
            if (name == "." || name == "..") continue;
            if (entry->d_type != DT_DIR && ::unlinkat(directory, entry->d_name, 0) == 0) continue;
            if (entry->d_type != DT_DIR && errno == ENOENT) continue;
            if (entry->d_type != DT_DIR && errno != EISDIR && errno != EPERM) {
                note(entry->d_name, errno);
                continue;
            }
            remove_directory(directory, entry->d_name, depth);
        }
    }

    void remove_directory(int parent, const char* name, int depth) {
        if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return;
        if (errno != ENOTEMPTY && errno != EEXIST) return note(name, errno);
        if (depth >= deepest) {
            const auto aside = ".lxdcore-remove-" + text::random_hex(8);
            if (::renameat(parent, name, top_, aside.c_str()) != 0) return note(name, errno);
            moved_ = true;
            return;
        }
        const UniqueFd child{open_plain_directory(parent, name)};
        if (!child) return note(name, errno);
        empty(child.get(), depth + 1);
        if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return;
        if (errno != ENOTEMPTY || !moved_) note(name, errno);
    }

    int top_;
    bool moved_ = false;
    int failure_ = 0;
    std::string failed_name_;
};

} // namespace

void Dir::remove_tree(std::string_view name) const {
    if (name.empty() || name == ".") throw Error{ErrorCode::InvalidArgument, path_ + ": cannot remove itself"};
    const auto status = stat_if_exists(name);
    if (!status) return;
    if (!S_ISDIR(status->st_mode)) return remove(name);
    // Somebody may still write into the tree: a few rounds, then the error.
    for (int round = 0;; ++round) {
        const auto slash = name.rfind('/');
        const bool nested = slash != std::string_view::npos;
        const Dir parent = nested ? dir(name.substr(0, slash)) : clone();
        const std::string leaf{nested ? name.substr(slash + 1) : name};
        const UniqueFd top{open_plain_directory(parent.fd(), leaf.c_str())};
        if (!top && errno == ENOENT) return;
        if (!top) throw_errno(fmt::format("remove {}/{}", path_, name));
        TreeRemoval removal{top.get()};
        removal.empty_all();
        if (::unlinkat(parent.fd(), leaf.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
        const int err = removal.failure() != 0 ? removal.failure() : errno;
        if (round >= 10 || err != ENOTEMPTY) {
            throw_errno(fmt::format("remove {}/{} ({})", path_, name, removal.failed_name()), err);
        }
    }
}

} // namespace lxdcore
