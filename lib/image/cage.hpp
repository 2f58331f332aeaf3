// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

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
    /// What a backup has below @p prefix ("backup/container"): metadata.yaml, templates and rootfs. All of the archive
    /// is read. @throws Error InvalidArgument if that has no rootfs
    void unpack_backup(int archive, const Dir& target, const std::string& prefix, std::stop_token stop) const;
    /// Everything below @p prefix, and the owner and mode of that directory. @throws Error InvalidArgument for nothing
    void unpack_tree(int archive, const Dir& target, const std::string& prefix, std::stop_token stop) const;
    /// The content of one file into @p out, a regular file (zeros become holes) or a pipe, whose reader may be slow.
    /// @p space is where it ends up. @throws Error InvalidArgument if the archive has no such file
    void extract(int archive, const std::string& member, int out, const Dir& space, std::stop_token stop) const;

private:
    const HelperProgram& helper_;
};

/// Bytes that may still be written to the filesystem of @p dir: a floor of free space is kept (R54).
std::int64_t free_space(const Dir& dir);

} // namespace lxdcore::image
