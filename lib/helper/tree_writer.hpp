// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "util/unique_fd.hpp"

namespace lxdcore::helper {

/// What an archive says about an entry beside its name and content.
struct EntryAttributes {
    std::int64_t uid = 0, gid = 0;
    mode_t mode = 0;
    timespec mtime{};
    std::vector<std::pair<std::string, std::string>> xattrs;
};

/// Creates the entries of an untrusted archive below one directory. No link is ever followed and no name leaves the
/// directory; what would is an Error InvalidArgument. Thread-bound.
class TreeWriter {
public:
    explicit TreeWriter(int root) : root_{root} {}
    void directory(const std::string& path, const EntryAttributes& attributes);
    UniqueFd file(const std::string& path); ///< empty, for writing; then finish_file()
    void finish_file(int fd, const std::string& path, const EntryAttributes& attributes);
    void symlink(const std::string& path, const std::string& target, const EntryAttributes& attributes);
    void hardlink(const std::string& path, const std::string& existing);
    void fifo(const std::string& path, const EntryAttributes& attributes);
    void whiteout(const std::string& path, const EntryAttributes& attributes); ///< a device that everybody may make
    void finish(); ///< modes and times of directories, last because writing into them changes both

    /// "./a/b/" to "a/b", "" for the top. @throws InvalidArgument for absolute names, "..", empty parts, NUL
    static std::string normalise(std::string_view name);

private:
    int parent_of(const std::string& path, std::string& leaf);
    UniqueFd open_dir(const std::string& path) const; ///< not set when absent
    void make_dirs(const std::string& path);
    void node(const std::string& path, mode_t type, const EntryAttributes& attributes);
    void make_room(int parent, const std::string& leaf);

    struct LateDirectory {
        std::string path;
        EntryAttributes attributes;
    };
    int root_;
    std::string cached_path_;
    UniqueFd cached_;
    std::vector<LateDirectory> late_;
};

} // namespace lxdcore::helper
