// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "util/dir.hpp"
#include "util/tar_writer.hpp"

namespace lxdcore::storage {

struct ArchiveOptions {
    std::string prefix;                                       ///< the name of the tree in the archive; "": none
    std::function<bool(const std::string& name)> wanted = {}; ///< which entries right below the tree; empty: all
    std::function<std::int64_t(std::int64_t id)> map_id = {}; ///< owners as they are to be written; empty: as they are
    std::stop_token stop{};
};

/// Writes a tree into an archive: owners, modes, times, extended attributes (file capabilities, ACLs, user.*), links,
/// hard links within the tree, devices, holes; no sockets. Entries come in the order of their names. No link is
/// followed and no path is joined: a guest that changes the tree meanwhile can make the archive wrong but never lead it
/// elsewhere (R38). Memory does not grow with the files. @throws Error Cancelled, or naming the file
void archive_tree(const Dir& tree, TarWriter& tar, const ArchiveOptions& options);
/// All of an open file, holes and all, as an entry that is root's alone. @throws Error Cancelled, or naming it
void archive_file(int fd, std::int64_t size, const std::string& name, TarWriter& tar, const std::stop_token& stop);

/// About as many bytes as archive_tree() will read of files. What vanishes meanwhile is not an error.
std::int64_t archive_bytes(const Dir& tree, const std::stop_token& stop);

} // namespace lxdcore::storage
