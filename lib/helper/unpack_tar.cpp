// SPDX-License-Identifier: Apache-2.0
#include "helper/unpack_tar.hpp"

#include <algorithm>
#include <clocale>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "helper/decompressor.hpp"
#include "helper/libarchive.hpp"
#include "helper/tree_writer.hpp"

namespace lxdcore::helper {

namespace {

constexpr std::int64_t kMaxMetadata = 1 << 20;

/// POSIX ACLs in the kernel's form: version 2, then entries of tag, permissions and id.
class AclText {
public:
    void add(int tag, int permset, int id) {
        static constexpr std::pair<int, std::uint16_t> tags[] = {
            {ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01}, {ARCHIVE_ENTRY_ACL_USER, 0x02}, {ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04},
            {ARCHIVE_ENTRY_ACL_GROUP, 0x08},    {ARCHIVE_ENTRY_ACL_MASK, 0x10}, {ARCHIVE_ENTRY_ACL_OTHER, 0x20}};
        for (const auto& [theirs, ours] : tags) {
            if (theirs != tag) continue;
            const bool named = ours == 0x02 || ours == 0x08;
            entries_.push_back(
                {ours, static_cast<std::uint16_t>(permset & 7), named ? static_cast<std::uint32_t>(id) : 0xffffffffu});
        }
    }
    std::string bytes() {
        std::stable_sort(entries_.begin(), entries_.end(), [](const Item& a, const Item& b) { return a.tag < b.tag; });
        std::string result("\x02\0\0\0", 4);
        for (const auto& item : entries_) {
            char raw[8];
            std::memcpy(raw, &item.tag, 2);
            std::memcpy(raw + 2, &item.perm, 2);
            std::memcpy(raw + 4, &item.id, 4);
            result.append(raw, sizeof raw);
        }
        return result;
    }
    bool extended() const { return entries_.size() > 3; }
    bool empty() const { return entries_.empty(); }

private:
    struct Item {
        std::uint16_t tag, perm;
        std::uint32_t id;
    };
    std::vector<Item> entries_;
};

bool wanted_xattr(std::string_view name) { return name == "security.capability" || name.starts_with("user."); }

bool is_plain_tar(int fd) {
    char magic[5];
    return ::pread(fd, magic, sizeof magic, 257) == sizeof magic && std::string_view{magic, sizeof magic} == "ustar";
}

bool all_zero(const char* data, std::size_t size) {
    return size == 0 || (data[0] == 0 && std::memcmp(data, data + 1, size - 1) == 0);
}

void write_all(int out, const char* data, std::size_t size, off_t at, bool seekable, const std::string& path) {
    for (std::size_t done = 0; done < size;) {
        const auto n = seekable ? ::pwrite(out, data + done, size - done, at + static_cast<off_t>(done))
                                : ::write(out, data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("unpack " + path);
        done += static_cast<std::size_t>(n);
    }
}

bool is_image_part(const std::string& path) {
    return path == "metadata.yaml" || path == "templates" || path.starts_with("templates/") || path == "rootfs" ||
           path.starts_with("rootfs/");
}

} // namespace

namespace {

/// One pass over one archive.
class Pass {
public:
    Pass(const Libarchive& api, archive* handle, const std::vector<int>& targets, const ArchiveContent& content,
         ReadUpTo upto, const UnpackLimits& limits)
        : api_{api}, handle_{handle}, image_{content.image}, content_{content}, upto_{upto}, limits_{limits},
          parts_(std::max({content.prefixes.size(), content.members.size(), std::size_t{1}})) {
        if (targets.empty()) return;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            parts_[i].target = targets.at(i);
            if (content.members.empty()) parts_[i].writer.emplace(targets.at(i));
        }
    }

    ArchiveSummary run() {
        archive_entry* entry = nullptr;
        while (!known()) {
            const int result = api_.archive_read_next_header(handle_, &entry);
            if (result == ARCHIVE_EOF) break;
            if (result < ARCHIVE_WARN) broken();
            if (++summary_.entries > limits_.entries)
                throw Error{ErrorCode::TooLarge, "The image has too many entries"};
            one(entry);
        }
        for (auto& part : parts_) {
            if (part.writer) part.writer->finish();
            summary_.parts.push_back(std::move(part.found));
        }
        return std::move(summary_);
    }

private:
    struct Part {
        int target = -1;
        std::optional<TreeWriter> writer = {};
        std::set<std::string> left_out = {};
        PartSummary found = {};
    };

    bool known() const {
        if (upto_ == ReadUpTo::End) return summary_.unordered;
        const auto& found = parts_.front().found;
        if (!content_.document.empty()) return found.has_metadata;
        return image_ ? found.has_metadata && found.has_rootfs : summary_.entries > 0;
    }

    [[noreturn]] void broken() {
        const char* text = api_.archive_error_string(handle_);
        throw Error{ErrorCode::InvalidArgument, std::string{"Damaged image: "} + (text ? text : "unreadable archive")};
    }

    void one(archive_entry* entry) {
        const char* name = api_.archive_entry_pathname(entry);
        if (!name) throw Error{ErrorCode::InvalidArgument, "Image entry has no readable name"};
        auto path = TreeWriter::normalise(name);
        if (!content_.document.empty()) return path == content_.document ? document(entry) : skip();
        if (!content_.members.empty()) {
            const auto& names = content_.members;
            const auto it = std::find(names.begin(), names.end(), path);
            return it == names.end() ? skip() : member(entry, static_cast<std::size_t>(it - names.begin()));
        }
        if (!below_prefix(path, at_) && !find_part(path)) return skip();
        if (image_ && !is_image_part(path)) return skip();
        into(parts_[at_], entry, path);
    }

    /// @p part is that of at_.
    void into(Part& part, archive_entry* entry, const std::string& path) {
        part.found.has_content = true;
        part.found.has_rootfs |= path == "rootfs" || path.starts_with("rootfs/");
        if (const char* link = api_.archive_entry_hardlink(entry)) {
            auto existing = TreeWriter::normalise(link);
            const bool below = below_prefix(existing, at_);
            if (!below || (image_ && (!is_image_part(existing) || path == "metadata.yaml")))
                throw Error{ErrorCode::InvalidArgument, "Image entry " + path + " links to what is not in the image"};
            if (!part.writer) return;
            if (part.left_out.contains(existing)) return leave_out(part, {.path = path, .link = existing});
            return part.writer->hardlink(path, existing);
        }
        const auto type = api_.archive_entry_filetype(entry);
        if (image_) check_type(path, type);
        if (type == AE_IFREG) return file(part, entry, path);
        if (!part.writer || (path.empty() && (content_.prefixes.empty() || type != AE_IFDIR))) return;
        const auto attributes = attributes_of(entry, path);
        if (type == AE_IFDIR) part.writer->directory(path, attributes);
        if (type == AE_IFIFO) part.writer->fifo(path, attributes);
        if (type == AE_IFLNK) {
            const char* target = api_.archive_entry_symlink(entry);
            part.writer->symlink(path, target ? target : "", attributes);
        }
        const auto device = api_.archive_entry_rdev(entry);
        if (type == AE_IFCHR && device == 0)
            return part.writer->whiteout(path, attributes); // of an overlay in the instance
        if (type == AE_IFCHR || type == AE_IFBLK)
            leave_out(part, {.path = path,
                             .mode = type | attributes.mode,
                             .uid = attributes.uid,
                             .gid = attributes.gid,
                             .major = ::major(device),
                             .minor = ::minor(device)});
    }

    static void leave_out(Part& part, LeftOutNode node) {
        part.left_out.insert(node.path);
        if (part.found.nodes.size() <= kMostNodes) part.found.nodes.push_back(std::move(node));
    }

    /// Takes the prefix of a part away; "" for the directory that it names, which in an image is nobody's.
    bool below_prefix(std::string& path, std::size_t part) const {
        if (content_.prefixes.empty()) return true;
        const std::string_view prefix{content_.prefixes[part]};
        if (!image_ && path == prefix.substr(0, prefix.size() - 1)) {
            path.clear();
            return true;
        }
        if (!path.starts_with(prefix)) return false;
        path.erase(0, prefix.size());
        return true;
    }

    bool find_part(std::string& path) {
        for (std::size_t i = 0; i < content_.prefixes.size(); ++i) {
            if (!below_prefix(path, i)) continue;
            at_ = i;
            return true;
        }
        return false;
    }

    void check_file(archive_entry* entry, const std::string& path) {
        if (api_.archive_entry_hardlink(entry) || api_.archive_entry_filetype(entry) != AE_IFREG)
            throw Error{ErrorCode::InvalidArgument, path + " of the backup is no regular file"};
    }

    void document(archive_entry* entry) {
        const auto& path = content_.document;
        check_file(entry, path);
        auto& found = parts_.front().found;
        if (found.has_metadata) throw Error{ErrorCode::InvalidArgument, "The backup has two files " + path};
        if (api_.archive_entry_size(entry) > kMaxMetadata)
            throw Error{ErrorCode::InvalidArgument, path + " of the backup is larger than 1 MiB"};
        content(-1, path, &found.metadata);
        found.has_metadata = true;
    }

    void member(archive_entry* entry, std::size_t index) {
        const auto& path = content_.members[index];
        auto& part = parts_[index];
        check_file(entry, path);
        if (part.found.has_content) throw Error{ErrorCode::InvalidArgument, "The backup has two files " + path};
        if (part.target < 0) return skip();
        struct stat status {};
        if (::fstat(part.target, &status) != 0) throw_errno("unpack " + path);
        if (!S_ISREG(status.st_mode)) {
            // Whoever reads them reads one after the other.
            const auto before = [](const Part& one) { return one.found.has_content; };
            summary_.unordered = !std::all_of(parts_.begin(), parts_.begin() + static_cast<long>(index), before);
            if (summary_.unordered) return;
        }
        part.found.has_content = true;
        if (!S_ISREG(status.st_mode)) return stream(part.target, path);
        zeros_are_holes_ = true;
        content(part.target, path, nullptr);
        zeros_are_holes_ = false;
        if (::ftruncate(part.target, api_.archive_entry_size(entry)) != 0) throw_errno("unpack " + path);
    }

    /// Into a socket, in order; streams have no holes.
    void stream(int target, const std::string& path) {
        for (std::int64_t at = 0;;) {
            const void* data = nullptr;
            std::size_t size = 0;
            la_int64_t offset = 0;
            const int result = api_.archive_read_data_block(handle_, &data, &size, &offset);
            if (result == ARCHIVE_EOF) break;
            if (result < ARCHIVE_WARN) broken();
            if (offset != at) throw Error{ErrorCode::InvalidArgument, path + " of the backup has holes"};
            count(size);
            write_all(target, static_cast<const char*>(data), size, 0, false, path);
            at += static_cast<std::int64_t>(size);
        }
        if (::shutdown(target, SHUT_WR) != 0) throw_errno("unpack " + path);
    }

    void count(std::size_t size) {
        summary_.bytes += static_cast<std::int64_t>(size);
        if (summary_.bytes > limits_.bytes) throw Error{ErrorCode::TooLarge, "The unpacked image is too large"};
    }

    /// R2: names that the daemon opens later are what they seem.
    static void check_type(const std::string& path, mode_t type) {
        if (path == "metadata.yaml" && type != AE_IFREG)
            throw Error{ErrorCode::InvalidArgument, "metadata.yaml of the image is no regular file"};
        if ((path == "rootfs" || path == "templates") && type != AE_IFDIR)
            throw Error{ErrorCode::InvalidArgument, path + " of the image is no directory"};
        if (path.starts_with("templates/") && type != AE_IFREG && type != AE_IFDIR)
            throw Error{ErrorCode::InvalidArgument, "Template " + path + " of the image is no regular file"};
    }

    EntryAttributes attributes_of(archive_entry* entry, const std::string& path) {
        EntryAttributes result{
            .uid = api_.archive_entry_uid(entry),
            .gid = api_.archive_entry_gid(entry),
            .mode = api_.archive_entry_perm(entry),
            .mtime = {.tv_sec = api_.archive_entry_mtime(entry), .tv_nsec = api_.archive_entry_mtime_nsec(entry)}};
        for (const auto id : {result.uid, result.gid})
            if (id < 0 || id >= limits_.ids)
                throw Error{ErrorCode::InvalidArgument, "Image entry " + path + " has an owner out of range"};
        result.mtime.tv_nsec = std::clamp(result.mtime.tv_nsec, 0L, 999'999'999L);
        api_.archive_entry_xattr_reset(entry);
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        while (api_.archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
            if (name && wanted_xattr(name))
                result.xattrs.emplace_back(name, std::string{static_cast<const char*>(value), size});
        add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", result);
        add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", result);
        return result;
    }

    void add_acl(archive_entry* entry, int kind, const char* xattr, EntryAttributes& attributes) {
        AclText acl;
        api_.archive_entry_acl_reset(entry, kind);
        int type = 0, permset = 0, tag = 0, id = 0;
        const char* who = nullptr;
        while (api_.archive_entry_acl_next(entry, kind, &type, &permset, &tag, &id, &who) == ARCHIVE_OK)
            acl.add(tag, permset, id);
        const bool wanted = kind == ARCHIVE_ENTRY_ACL_TYPE_DEFAULT ? !acl.empty() : acl.extended();
        if (wanted) attributes.xattrs.emplace_back(xattr, acl.bytes());
    }

    void file(Part& part, archive_entry* entry, const std::string& path) {
        auto& found = part.found;
        const bool metadata = image_ && path == "metadata.yaml";
        if (metadata && found.has_metadata)
            throw Error{ErrorCode::InvalidArgument, "The image has two files metadata.yaml"};
        const auto size = api_.archive_entry_size(entry);
        if (metadata && size > kMaxMetadata)
            throw Error{ErrorCode::InvalidArgument, "metadata.yaml of the image is larger than 1 MiB"};
        UniqueFd out;
        if (part.writer) out = part.writer->file(path);
        const auto end = content(out.get(), path, metadata ? &found.metadata : nullptr);
        found.has_metadata |= metadata;
        if (!part.writer) return;
        if (end != size && ::ftruncate(out.get(), size) != 0) throw_errno("unpack " + path);
        part.writer->finish_file(out.get(), path, attributes_of(entry, path));
    }
    void skip() { content(-1, "", nullptr); }

    /// Gives the end of the last block; a hole behind it is no block.
    std::int64_t content(int out, const std::string& path, std::string* copy) {
        for (std::int64_t end = 0;;) {
            const void* data = nullptr;
            std::size_t size = 0;
            la_int64_t offset = 0;
            const int result = api_.archive_read_data_block(handle_, &data, &size, &offset);
            if (result == ARCHIVE_EOF) return end;
            if (result < ARCHIVE_WARN) broken();
            end = offset + static_cast<std::int64_t>(size);
            if (zeros_are_holes_ && all_zero(static_cast<const char*>(data), size)) continue;
            count(size);
            if (copy) copy->append(static_cast<const char*>(data), size);
            if (out >= 0) write_all(out, static_cast<const char*>(data), size, offset, true, path);
        }
    }

    const Libarchive& api_;
    archive* handle_;
    bool image_;
    const ArchiveContent& content_;
    ReadUpTo upto_;
    UnpackLimits limits_;
    std::vector<Part> parts_;
    std::size_t at_ = 0; ///< the part that the last entry was of
    bool zeros_are_holes_ = false;
    ArchiveSummary summary_;
};

} // namespace

TarReader::TarReader() : api_{std::make_unique<Libarchive>()} {
    std::setlocale(LC_CTYPE, "C.UTF-8"); // names are UTF-8, whatever the environment says
}
TarReader::~TarReader() = default;

ArchiveSummary TarReader::read(int archive_fd, const std::vector<int>& targets, const ArchiveContent& content,
                               ReadUpTo upto, const UnpackLimits& limits) {
    struct stat status {};
    if (::fstat(archive_fd, &status) != 0) throw_errno("image file");
    auto bounded = limits;
    bounded.bytes = std::min(limits.bytes, std::max(limits.floor, limits.ratio * std::max<off_t>(status.st_size, 1)));
    if (::lseek(archive_fd, 0, SEEK_SET) != 0) throw_errno("image file");
    std::optional<Decompressor> decompressor;
    if (!is_plain_tar(archive_fd)) decompressor.emplace(*api_, xz_, archive_fd);
    const std::unique_ptr<archive, decltype(&::archive_read_free)> handle{api_->archive_read_new(),
                                                                          api_->archive_read_free};
    api_->archive_read_support_format_tar(handle.get());
    const int source = decompressor ? decompressor->fd() : archive_fd;
    try {
        if (api_->archive_read_open_fd(handle.get(), source, 256 * 1024) != ARCHIVE_OK)
            throw Error{ErrorCode::InvalidArgument, "Damaged image: unreadable archive"};
        auto summary = Pass{*api_, handle.get(), targets, content, upto, bounded}.run();
        if (decompressor && upto == ReadUpTo::End && !summary.unordered) decompressor->finish(bounded.bytes);
        return summary;
    } catch (const Error& error) {
        if (decompressor && error.code() == ErrorCode::InvalidArgument) decompressor->check();
        throw;
    }
}

} // namespace lxdcore::helper
