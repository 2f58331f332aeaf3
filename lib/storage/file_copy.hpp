// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>

#include "util/dir.hpp"

namespace lxdcore::storage {

struct CopyOptions {
    std::stop_token stop{};
    bool devices = false; ///< also character and block devices
    unsigned threads = 0; ///< at most; 0: one per processor, up to four
    /// An older copy, on the filesystem of the new one: files in it that look the same (size, time, owner, mode,
    /// attributes) and have not been touched since get a second name instead of being copied. It must not change later.
    const Dir* older = nullptr;
    std::atomic<std::int64_t>* copied = nullptr; ///< counts bytes of content, while they are copied
};

/// Copies what is inside @p from into the empty directory @p to: owner, mode, times, extended attributes (file
/// capabilities, ACLs), links, hard links within the tree, holes; data by reflink where the filesystem can, else in the
/// kernel. No link is followed and no path is joined, so that a guest which changes the source meanwhile can make the
/// copy wrong but never lead it elsewhere (R38). The attributes of @p from itself are copied to @p to.
/// @throws Error Cancelled, NoSpace, Internal naming the file; what was copied so far stays
void copy_tree(const Dir& from, const Dir& to, const CopyOptions& options);
/// One regular file or tree named @p name in both.
void copy_entry(const Dir& from, const Dir& to, const std::string& name, const CopyOptions& options);

} // namespace lxdcore::storage
