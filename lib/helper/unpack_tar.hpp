// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "helper/xz_decoder.hpp"

namespace lxdcore::helper {

/// Bounds on what an archive may become (R53, R55).
struct UnpackLimits {
    std::int64_t bytes = 0;   ///< of content, all entries together
    std::int64_t entries = 0; ///< number of them
    std::int64_t ratio = 0;   ///< content to archive size, above the floor
    std::int64_t floor = 0;   ///< content below this is never a bomb
    std::int64_t ids = 65536; ///< uids and gids are below this
};

/// How far an archive is read.
enum class ReadUpTo {
    Kind, ///< until it is known to be what it should be: metadata.yaml and the beginning of rootfs
    End
};

/// What an archive should be.
struct ArchiveContent {
    bool image = false;      ///< metadata.yaml, templates/, rootfs/; other names are left out. Else any tree
    std::string prefix = {}; ///< with '/' at its end: only what is below it, without it
    /// Nothing but this file is wanted: its text in the summary, or its content in the target.
    std::string document = {}, member = {};
};

/// A device node, which only the host may make, or another name (@p link) of one.
struct LeftOutNode {
    std::string path, link = {};
    std::uint32_t mode = 0; ///< with its type
    std::int64_t uid = 0, gid = 0;
    std::uint32_t major = 0, minor = 0;
};

constexpr std::size_t kMostNodes = 2000;

struct ArchiveSummary {
    std::string metadata; ///< content of metadata.yaml, or of the document; "" if there is none
    bool has_metadata = false, has_rootfs = false;
    bool has_content = false; ///< anything below the prefix, or the member
    std::int64_t bytes = 0, entries = 0;
    std::vector<LeftOutNode> nodes; ///< that were left out of the target; one more than the most when there are more
};

struct Libarchive;

/// libarchive, loaded once in the process that is to be caged, before it loses the filesystem.
class TarReader {
public:
    TarReader();
    ~TarReader();
    /// @p target: where entries are made, -1 to look only. For a member a file, where zeros become holes, or a pipe.
    ArchiveSummary read(int archive, int target, const ArchiveContent& content, ReadUpTo upto,
                        const UnpackLimits& limits);

private:
    std::unique_ptr<const Libarchive> api_;
    XzDecoder xz_;
};

} // namespace lxdcore::helper
