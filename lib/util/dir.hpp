// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/unique_fd.hpp"

namespace lxdcore {

/// How links inside a confined path are treated.
enum class Links {
    Refuse, ///< any symbolic link is an error: daemon-owned names (RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS)
    InRoot, ///< followed as if the directory were "/" (RESOLVE_IN_ROOT | NO_MAGICLINKS): paths of a guest
};

/// A directory held by descriptor; everything below it is reached with openat2 and cannot leave it (R1, R2).
/// This is the only place of the library that opens paths. Relative paths only; "..", where it would leave the
/// directory, is refused by the kernel. Reentrant; errors are lxdcore::Error naming the path.
class Dir {
public:
    /// Opens an absolute path that only root can write to (state directory, /proc, /sys, pool source).
    static Dir open(const std::string& absolute_path);
    /// The same, made first (mkdir -p) if it is missing.
    static Dir open_or_make(const std::string& absolute_path);
    explicit Dir(UniqueFd fd, std::string path) : fd_{std::move(fd)}, path_{std::move(path)} {}

    int fd() const noexcept { return fd_.get(); }
    const std::string& path() const noexcept { return path_; } ///< for texts and for tools that need a path
    Dir clone() const;

    Dir dir(std::string_view name, Links links = Links::Refuse) const;
    /// mkdir -p below this directory; new ones get @p mode.
    Dir make_dir(std::string_view name, mode_t mode = 0700) const;
    UniqueFd open_file(std::string_view name, int flags, mode_t mode = 0600, Links links = Links::Refuse) const;
    /// A single-link regular file of at most @p max bytes. @throws NotFound, TooLarge, InvalidArgument (not regular)
    std::string read(std::string_view name, std::size_t max = 1 << 20) const;
    std::optional<std::string> read_if_exists(std::string_view name, std::size_t max = 1 << 20) const;
    /// Written beside, fsynced, renamed, directory fsynced.
    void write(std::string_view name, std::string_view content, mode_t mode = 0600) const;
    /// One write to a file of the kernel that exists (cgroupfs, sysctl, /proc).
    void write_kernel(std::string_view name, std::string_view content) const;
    bool exists(std::string_view name) const;      ///< lstat; no link is followed
    struct stat stat(std::string_view name) const; ///< lstat
    std::optional<struct stat> stat_if_exists(std::string_view name) const;
    std::vector<std::string> list() const;    ///< sorted, without . and ..
    void remove(std::string_view name) const; ///< a file or an empty directory; absent is fine
    /// rm -r without following links or crossing mounts; absent is fine. Safe against concurrent writers.
    void remove_tree(std::string_view name) const;
    void rename(std::string_view from, std::string_view to) const;  ///< both beneath; never replaces
    void replace(std::string_view from, std::string_view to) const; ///< rename(2)
    void exchange(std::string_view a, std::string_view b) const;    ///< both exist; in one step
    void rename_to(std::string_view from, const Dir& other, std::string_view to) const;
    void symlink(std::string_view target, std::string_view name) const;
    void sync() const; ///< fsync of the directory

private:
    UniqueFd fd_;
    std::string path_;
};

} // namespace lxdcore
