// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "helper/library.hpp"

namespace lxdcore::helper {

/// What the cage uses of libarchive.
struct Libarchive : Library {
    Libarchive() : Library{"libarchive.so.13"} {}
    LXDCORE_SYMBOL(archive_read_new);
    LXDCORE_SYMBOL(archive_read_free);
    LXDCORE_SYMBOL(archive_read_support_format_raw);
    LXDCORE_SYMBOL(archive_read_support_format_tar);
    LXDCORE_SYMBOL(archive_read_support_filter_gzip);
    LXDCORE_SYMBOL(archive_read_support_filter_bzip2);
    LXDCORE_SYMBOL(archive_read_support_filter_xz);
    LXDCORE_SYMBOL(archive_read_support_filter_lzma);
    LXDCORE_SYMBOL(archive_read_support_filter_zstd);
    LXDCORE_SYMBOL(archive_read_open_fd);
    LXDCORE_SYMBOL(archive_read_next_header);
    LXDCORE_SYMBOL(archive_read_data_block);
    LXDCORE_SYMBOL(archive_error_string);
    LXDCORE_SYMBOL(archive_entry_pathname);
    LXDCORE_SYMBOL(archive_entry_symlink);
    LXDCORE_SYMBOL(archive_entry_hardlink);
    LXDCORE_SYMBOL(archive_entry_filetype);
    LXDCORE_SYMBOL(archive_entry_perm);
    LXDCORE_SYMBOL(archive_entry_uid);
    LXDCORE_SYMBOL(archive_entry_gid);
    LXDCORE_SYMBOL(archive_entry_size);
    LXDCORE_SYMBOL(archive_entry_mtime);
    LXDCORE_SYMBOL(archive_entry_mtime_nsec);
    LXDCORE_SYMBOL(archive_entry_rdev);
    LXDCORE_SYMBOL(archive_entry_xattr_reset);
    LXDCORE_SYMBOL(archive_entry_xattr_next);
    LXDCORE_SYMBOL(archive_entry_acl_reset);
    LXDCORE_SYMBOL(archive_entry_acl_next);
};

} // namespace lxdcore::helper
