// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "util/dir.hpp"
#include "util/helper_program.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::image {

enum class Format { Tar, TarGzip, TarBzip2, TarXz, TarLzma, TarZstd, Squashfs };

/// By the first bytes. @throws Error InvalidArgument "EOF" when empty, "Unsupported compression" otherwise
Format detect_format(int fd);
const char* extension(Format format); ///< ".tar.gz"

struct ArchiveReport {
    nlohmann::json metadata; ///< metadata.yaml, parsed in the cage
    bool has_metadata = false, has_rootfs = false;
};

/// Runs the caged child of lxdcore-helper on an archive (R3). Reentrant.
class Cage {
public:
    explicit Cage(const HelperProgram& helper) : helper_{helper} {}
    /// Writes nothing. Every entry of a small archive is checked; a large one is read until it is known to be an image,
    /// as its import is not to take as long as its unpacking, which checks everything again.
    ArchiveReport inspect(int archive, bool image, std::stop_token stop) const;
    /// @p image: metadata.yaml, templates and rootfs; otherwise the archive is a root filesystem.
    /// @p read is told several times a second how many bytes of the archive have been read; of a squashfs it is not
    /// known.
    void unpack(int archive, const Dir& target, bool image, std::stop_token stop,
                const std::function<void(std::int64_t)>& read = {}) const;
    /// backup/index.yaml of a backup, parsed in the cage. @throws Error InvalidArgument if it has none
    nlohmann::json backup_index(int archive, std::stop_token stop) const;
    /// Another document of a backup; null if it has none.
    nlohmann::json backup_document(int archive, const std::string& name, std::stop_token stop) const;
    // Parts of backups, in one pass over the archive, in whatever order it has them: at most most_parts() at a time.
    struct Tree {
        std::string prefix; ///< "backup/container"
        Dir target;
    };
    static std::size_t most_parts(int archive);
    /// What a backup has below each prefix: metadata.yaml, templates and rootfs.
    /// @throws Error InvalidArgument if one has no rootfs
    void unpack_backup(int archive, const std::vector<Tree>& trees, std::stop_token stop) const;
    /// Everything below the prefixes, and the owner and mode of those directories.
    /// @throws Error InvalidArgument for nothing
    void unpack_trees(int archive, const std::vector<Tree>& trees, std::stop_token stop) const;
    struct Member {
        std::string name;
        int out; ///< a regular file, where zeros become holes
    };
    /// The content of some files. @p space is where it ends up.
    /// @throws Error InvalidArgument if the archive has no such file
    void extract(int archive, const std::vector<Member>& members, const Dir& space, std::stop_token stop) const;
    /// As extract(), into sockets, whose readers may be slow and read one after the other; each is shut down at the end
    /// of its content. @p begun: the child has them, other copies can be closed. Gives how many were written: an
    /// archive with another order ends the pass before the first that did not come in its turn, and one may be none.
    std::size_t stream(int archive, const std::vector<Member>& members, const Dir& space, std::stop_token stop,
                       const std::function<void()>& begun) const;

private:
    const HelperProgram& helper_;
};

/// Bytes that may still be written to the filesystem of @p dir: a floor of free space is kept (R54).
std::int64_t free_space(const Dir& dir);

} // namespace lxdcore::image
