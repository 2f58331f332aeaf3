// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

namespace lxdcore::test {

/// Builds tar archives, hostile ones too: names are written as given.
class ArchiveBuilder {
public:
    ArchiveBuilder& file(const std::string& name, const std::string& content, int mode = 0644, int uid = 0) {
        return add({.name = name, .type = AE_IFREG, .mode = mode, .uid = uid, .content = content});
    }
    ArchiveBuilder& zeros(const std::string& name, std::size_t size) {
        return add({.name = name, .type = AE_IFREG, .mode = 0644, .zeros = size});
    }
    ArchiveBuilder& dir(const std::string& name, int mode = 0755) {
        return add({.name = name, .type = AE_IFDIR, .mode = mode});
    }
    ArchiveBuilder& symlink(const std::string& name, const std::string& target) {
        return add({.name = name, .type = AE_IFLNK, .mode = 0777, .target = target});
    }
    ArchiveBuilder& hardlink(const std::string& name, const std::string& target) {
        return add({.name = name, .type = AE_IFREG, .mode = 0644, .target = target, .hard = true});
    }
    ArchiveBuilder& node(const std::string& name, unsigned type, dev_t device = 0) {
        return add({.name = name, .type = type, .mode = 0644, .device = device});
    }
    ArchiveBuilder& xattr(const std::string& key, const std::string& value) { ///< of the entry before
        items_.back().xattrs.emplace_back(key, value);
        return *this;
    }

    /// @p filter: "", "gzip", "bzip2", "xz", "lzma", "zstd"
    std::string bytes(const std::string& filter = "") const {
        std::string out;
        archive* tar = archive_write_new();
        archive_write_set_format_pax_restricted(tar);
        archive_write_set_bytes_in_last_block(tar, 1);
        if (!filter.empty() && archive_write_add_filter_by_name(tar, filter.c_str()) != ARCHIVE_OK)
            throw std::runtime_error{"filter " + filter};
        archive_write_open(
            tar, &out, nullptr,
            [](archive*, void* to, const void* data, std::size_t size) {
                static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
                return static_cast<la_ssize_t>(size);
            },
            nullptr);
        for (const auto& item : items_)
            write(tar, item);
        if (archive_write_close(tar) != ARCHIVE_OK) throw std::runtime_error{archive_error_string(tar)};
        archive_write_free(tar);
        return out;
    }

private:
    struct Item {
        std::string name;
        unsigned type = AE_IFREG;
        int mode = 0, uid = 0;
        std::string content{}, target{};
        bool hard = false;
        dev_t device = 0;
        std::size_t zeros = 0; ///< behind the content
        std::vector<std::pair<std::string, std::string>> xattrs{};
    };
    ArchiveBuilder& add(Item item) {
        items_.push_back(std::move(item));
        return *this;
    }
    static void write(archive* tar, const Item& item) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, item.name.c_str());
        archive_entry_set_filetype(entry, item.type);
        archive_entry_set_perm(entry, static_cast<mode_t>(item.mode));
        archive_entry_set_uid(entry, item.uid);
        archive_entry_set_gid(entry, item.uid);
        archive_entry_set_mtime(entry, 1700000000, 0);
        archive_entry_set_rdev(entry, item.device);
        archive_entry_set_size(entry, static_cast<la_int64_t>(item.content.size() + item.zeros));
        if (item.hard) archive_entry_set_hardlink(entry, item.target.c_str());
        if (!item.hard && !item.target.empty()) archive_entry_set_symlink(entry, item.target.c_str());
        for (const auto& [key, value] : item.xattrs)
            archive_entry_xattr_add_entry(entry, key.c_str(), value.data(), value.size());
        if (archive_write_header(tar, entry) != ARCHIVE_OK) throw std::runtime_error{archive_error_string(tar)};
        if (!item.content.empty()) archive_write_data(tar, item.content.data(), item.content.size());
        static const std::string block(1 << 20, '\0');
        for (auto left = item.zeros; left > 0; left -= std::min(left, block.size()))
            archive_write_data(tar, block.data(), std::min(left, block.size()));
        archive_entry_free(entry);
    }
    std::vector<Item> items_;
};

} // namespace lxdcore::test
