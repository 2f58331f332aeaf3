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
    bool image = false; ///< metadata.yaml, templates/, rootfs/; other names are left out. Else any tree
    /// With '/' at their ends: only what is below one of them, without it, into the target of the same number.
    std::vector<std::string> prefixes = {};
    std::string document = {};             ///< nothing but the text of this file is wanted
    std::vector<std::string> members = {}; ///< nothing but the content of these, into the target of the same number
};

/// A device node, which only the host may make, or another name (@p link) of one.
struct LeftOutNode {
    std::string path, link = {};
    std::uint32_t mode = 0; ///< with its type
    std::int64_t uid = 0, gid = 0;
    std::uint32_t major = 0, minor = 0;
};

constexpr std::size_t kMostNodes = 2000;

/// What was found for one prefix or member, or in all of the archive.
struct PartSummary {
    std::string metadata; ///< content of metadata.yaml, or of the document; "" if there is none
    bool has_metadata = false, has_rootfs = false;
    bool has_content = false;       ///< anything below the prefix, or the member
    std::vector<LeftOutNode> nodes; ///< that were left out of the target; one more than the most when there are more
};

struct ArchiveSummary {
    std::vector<PartSummary> parts; ///< at least one
    std::int64_t bytes = 0, entries = 0;
    bool unordered = false; ///< a stream came before one that was to be first: no more was read
};

struct Libarchive;

/// libarchive, loaded once in the process that is to be caged, before it loses the filesystem.
class TarReader {
public:
    TarReader();
    ~TarReader();
    /// @p targets: where entries are made; none to look only. For members files, where zeros become holes, or streams
    /// (sockets), which are written in their order and shut down at their ends.
    ArchiveSummary read(int archive, const std::vector<int>& targets, const ArchiveContent& content, ReadUpTo upto,
                        const UnpackLimits& limits);

private:
    std::unique_ptr<const Libarchive> api_;
    XzDecoder xz_;
};

} // namespace lxdcore::helper
