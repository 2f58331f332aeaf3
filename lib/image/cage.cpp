// SPDX-License-Identifier: Apache-2.0
#include "image/cage.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "image/device_nodes.hpp"
#include "util/text.hpp"

namespace lxdcore::image {

namespace {

using namespace std::string_view_literals;

constexpr std::int64_t kMaxBytes = 100ll << 30;
constexpr std::int64_t kMaxEntries = 10'000'000;
constexpr std::size_t kMaxNodes = 2000;
constexpr std::int64_t kMaxRatio = 500;
constexpr std::int64_t kRatioFloor = 1ll << 30;
constexpr std::int64_t kReserve = 1ll << 30; ///< free space that is kept, at most
constexpr std::chrono::minutes kTimeLimit{30};
constexpr std::int64_t kDiskRatio = 100'000; ///< of images of disks, which are mostly zeros
constexpr std::int64_t kAllIds = (1ll << 32) - 2;
constexpr std::int64_t kMaxPadding = 64 << 10; ///< of an .xz; there is none in practice
constexpr std::int64_t kReadWhole = 4 << 20;   ///< archives up to this are read to their end before they are unpacked

constexpr std::pair<std::string_view, Format> kMagic[] = {
    {"\x1f\x8b"sv, Format::TarGzip},
    {"BZh"sv, Format::TarBzip2},
    {"\xfd"
     "7zXZ\0"sv,
     Format::TarXz},
    {"\x5d\0\0"sv, Format::TarLzma},
    {"\x28\xb5\x2f\xfd"sv, Format::TarZstd},
    {"hsqs"sv, Format::Squashfs},
};

/// Ids for the caged child: a range that no user of the host has. Without one for containers in /etc/subuid still one:
/// privileged instances need no range, but the cage does.
std::pair<std::int64_t, std::int64_t> cage_ids() {
    for (const auto& line : text::split(Dir::open("/etc").read_if_exists("subuid").value_or(""), '\n')) {
        const auto parts = text::split(line, ':');
        if (parts.size() != 3 || (parts[0] != "root" && parts[0] != "lxd")) continue;
        const auto first = text::parse_int(parts[1]), count = text::parse_int(parts[2]);
        if (first && count && *first > 0 && *count >= 65536) return {*first, *count};
    }
    return {1'000'000, 1'000'000'000};
}

std::int64_t size_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw_errno("image file");
    return status.st_size;
}

/// Whether the end is that of a whole file, for the formats which can tell without being read.
bool ends_well(int fd, Format format, std::int64_t size) {
    if (format == Format::Squashfs) {
        std::array<unsigned char, 8> used{}; // little-endian, in the superblock
        if (::pread(fd, used.data(), used.size(), 40) != static_cast<ssize_t>(used.size())) return false;
        std::uint64_t bytes = 0;
        for (std::size_t i = used.size(); i-- > 0;)
            bytes = bytes << 8 | used[i];
        return bytes <= static_cast<std::uint64_t>(size);
    }
    if (format != Format::TarXz) return true;
    std::array<char, 4> tail{};
    const auto first = size - kMaxPadding;
    do { // padding behind the footer comes in fours
        size -= 4;
        if (size < 0 || size < first ||
            ::pread(fd, tail.data(), tail.size(), size) != static_cast<ssize_t>(tail.size()))
            return false;
    } while (tail == std::array<char, 4>{});
    return tail[2] == 'Y' && tail[3] == 'Z';
}

struct Task {
    const char* mode;
    const char* content;
    std::vector<std::string> names = {};
    bool any_owner = false, sparse = false;
};
/// Where the cage may write, and the filesystem that is filled with it.
struct Targets {
    std::vector<int> fds;
    const Dir& space;
};

nlohmann::json call(const HelperProgram& helper, const Task& task, int archive, const std::optional<Targets>& targets,
                    std::stop_token stop, const std::function<void(std::int64_t)>& read = {}) {
    auto [host_id, ids] = cage_ids();
    if (task.any_owner) ids = kAllIds - host_id; // files on disk may have those of any id map
    const auto bytes = targets && !task.sparse ? std::min(kMaxBytes, free_space(targets->space)) : kMaxBytes;
    const auto time = kTimeLimit * std::max<std::size_t>(task.names.size(), 1);
    const nlohmann::json request{{"mode", task.mode},
                                 {"format", detect_format(archive) == Format::Squashfs ? "squashfs" : "tar"},
                                 {"content", task.content},
                                 {"names", task.names},
                                 {"host_id", host_id},
                                 {"ids", ids},
                                 {"seconds", std::chrono::seconds{time}.count()},
                                 {"max_bytes", std::max<std::int64_t>(bytes, 0)},
                                 {"max_entries", kMaxEntries},
                                 {"max_ratio", task.sparse ? kDiskRatio : kMaxRatio},
                                 {"ratio_floor", kRatioFloor}};
    std::vector<std::pair<int, int>> fds{{archive, 5}};
    for (int there = 6; targets && fds.size() <= targets->fds.size(); ++there)
        fds.emplace_back(targets->fds[fds.size() - 1], there);
    const Error full{ErrorCode::NoSpace, "Failed to unpack the image: No space left on device"};
    try {
        return helper.call("unpack", request, fds, time, [&] {
            if (stop.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
            if (targets && free_space(targets->space) <= 0) throw full;
            if (read) read(::lseek(archive, 0, SEEK_CUR)); // the child reads by the same open file
        });
    } catch (const Error& error) {
        // More than may be written here, though not more than an image may have.
        if (error.code() == ErrorCode::TooLarge && bytes < kMaxBytes) throw full;
        throw;
    }
}

/// What the cage must not make. Its parent directory looks as if it had been there.
void make_node(const Dir& target, const nlohmann::json& node) {
    const auto& path = node.at("path").get_ref<const std::string&>();
    const auto slash = path.rfind('/');
    const auto parent = target.dir(path.substr(0, slash)); // only rootfs has device nodes
    const auto leaf = path.substr(slash + 1);
    const auto before = parent.stat("");
    if (const auto& link = node.at("link").get_ref<const std::string&>(); !link.empty()) {
        const auto other = target.dir(link.substr(0, link.rfind('/')));
        if (::linkat(other.fd(), link.substr(link.rfind('/') + 1).c_str(), parent.fd(), leaf.c_str(), 0) != 0)
            throw_errno("unpack " + path);
    } else {
        const auto mode = node.at("mode").get<mode_t>();
        if (::mknodat(parent.fd(), leaf.c_str(), mode,
                      makedev(node.at("major").get<unsigned>(), node.at("minor").get<unsigned>())) != 0 ||
            ::fchownat(parent.fd(), leaf.c_str(), node.at("uid").get<uid_t>(), node.at("gid").get<gid_t>(),
                       AT_SYMLINK_NOFOLLOW) != 0 ||
            ::fchmodat(parent.fd(), leaf.c_str(), mode & 07777, 0) != 0)
            throw_errno("unpack " + path);
    }
    const timespec times[] = {before.st_atim, before.st_mtim};
    if (::futimens(parent.fd(), times) != 0) throw_errno("unpack " + path);
}

/// What was found of each.
std::vector<nlohmann::json> unpack_trees_as(const HelperProgram& helper, const char* content, int archive,
                                            const std::vector<Cage::Tree>& trees, std::stop_token stop) {
    Task task{.mode = "unpack", .content = content, .any_owner = true};
    Targets targets{.fds = {}, .space = trees.front().target};
    for (const auto& tree : trees) {
        task.names.push_back(tree.prefix + "/");
        targets.fds.push_back(tree.target.fd());
    }
    return call(helper, task, archive, targets, std::move(stop)).at("parts");
}

/// Gives the device nodes that were left out of each.
std::vector<nlohmann::json> unpack_instances(const HelperProgram& helper, int archive,
                                             const std::vector<Cage::Tree>& trees, std::stop_token stop) {
    std::vector<nlohmann::json> nodes;
    for (const auto& part : unpack_trees_as(helper, "image", archive, trees, std::move(stop))) {
        if (!part.value("has_rootfs", false))
            throw Error{ErrorCode::InvalidArgument,
                        "The backup has nothing at " + text::quote(trees.at(nodes.size()).prefix + "/rootfs")};
        nodes.push_back(part.value("nodes", nlohmann::json::array()));
    }
    return nodes;
}

nlohmann::json extract_members(const HelperProgram& helper, int archive, const std::vector<Cage::Member>& members,
                               const Dir& space, std::stop_token stop,
                               const std::function<void(std::int64_t)>& read = {}) {
    Task task{.mode = "unpack", .content = "member", .any_owner = true, .sparse = true};
    Targets targets{.fds = {}, .space = space};
    for (const auto& member : members) {
        task.names.push_back(member.name);
        targets.fds.push_back(member.out);
    }
    return call(helper, task, archive, targets, std::move(stop), read);
}

/// The first that was not found, or all of them.
std::size_t count_found(const nlohmann::json& reply) {
    const auto& parts = reply.at("parts");
    const auto missing =
        std::find_if(parts.begin(), parts.end(), [](const auto& part) { return !part.value("has_content", false); });
    return static_cast<std::size_t>(missing - parts.begin());
}

[[noreturn]] void refuse_missing(const std::string& name) {
    throw Error{ErrorCode::InvalidArgument, "The backup has nothing at " + text::quote(name)};
}

} // namespace

std::int64_t free_space(const Dir& dir) {
    struct statvfs fs {};
    if (::fstatvfs(dir.fd(), &fs) != 0) throw_errno(dir.path());
    const auto size = static_cast<std::int64_t>(fs.f_blocks * fs.f_frsize);
    return static_cast<std::int64_t>(fs.f_bavail * fs.f_frsize) - std::min(size / 20, kReserve);
}

Format detect_format(int fd) {
    std::array<char, 262> head{};
    const auto n = ::pread(fd, head.data(), head.size(), 0);
    if (n < 0) throw_errno("image file");
    if (n == 0) throw Error{ErrorCode::InvalidArgument, "EOF"};
    const std::string_view text{head.data(), static_cast<std::size_t>(n)};
    for (const auto& [magic, format] : kMagic)
        if (text.starts_with(magic)) return format;
    if (text.size() == head.size() && text.substr(257) == "ustar") return Format::Tar;
    throw Error{ErrorCode::InvalidArgument, "Unsupported compression"};
}

const char* extension(Format format) {
    switch (format) {
    case Format::Tar:
        return ".tar";
    case Format::TarGzip:
        return ".tar.gz";
    case Format::TarBzip2:
        return ".tar.bz2";
    case Format::TarXz:
        return ".tar.xz";
    case Format::TarLzma:
        return ".tar.lzma";
    case Format::TarZstd:
        return ".tar.zst";
    case Format::Squashfs:
        break;
    }
    return ".squashfs";
}

ArchiveReport Cage::inspect(int archive, bool image, std::stop_token stop) const {
    const auto format = detect_format(archive);
    const auto size = size_of(archive);
    if (!ends_well(archive, format, size)) throw Error{ErrorCode::InvalidArgument, "Damaged image: truncated file"};
    // unsquashfs looks for more when it is unpacked
    if (format == Format::Squashfs && !image) return {};
    const auto* mode = size > kReadWhole || format == Format::Squashfs ? "glance" : "inspect";
    const auto reply = call(helper_, {mode, image ? "image" : "root"}, archive, {}, std::move(stop)).at("parts").at(0);
    return {.metadata = reply.value("metadata", nlohmann::json{}),
            .has_metadata = reply.value("has_metadata", false),
            .has_rootfs = reply.value("has_rootfs", false)};
}

void Cage::unpack(int archive, const Dir& target, bool image, std::stop_token stop,
                  const std::function<void(std::int64_t)>& read) const {
    call(helper_, {"unpack", image ? "image" : "root"}, archive, Targets{{target.fd()}, target}, std::move(stop), read);
}

nlohmann::json Cage::backup_index(int archive, std::stop_token stop) const {
    const auto format = detect_format(archive);
    if (!ends_well(archive, format, size_of(archive)))
        throw Error{ErrorCode::InvalidArgument, "Damaged backup: truncated file"};
    auto reply = call(helper_, {"glance", "document", {"backup/index.yaml"}}, archive, {}, std::move(stop)).at("parts");
    if (!reply.at(0).value("has_metadata", false))
        throw Error{ErrorCode::InvalidArgument, "Backup is missing at \"backup/index.yaml\""};
    return std::move(reply[0]["metadata"]);
}

nlohmann::json Cage::backup_document(int archive, const std::string& name, std::stop_token stop) const {
    auto reply = call(helper_, {.mode = "glance", .content = "document", .names = {name}, .sparse = true}, archive, {},
                      std::move(stop))
                     .at("parts");
    return std::move(reply.at(0)["metadata"]);
}

/// A squashfs is not read from its beginning to its end anyway.
std::size_t Cage::most_parts(int archive) { return detect_format(archive) == Format::Squashfs ? 1 : 64; }

void Cage::unpack_backup(int archive, const std::vector<Tree>& trees, std::stop_token stop) const {
    unpack_instances(helper_, archive, trees, std::move(stop));
}

void unpack_backup_with_devices(const HelperProgram& helper, int archive, const std::vector<Cage::Tree>& trees,
                                std::stop_token stop) {
    const auto left_out = unpack_instances(helper, archive, trees, std::move(stop));
    for (std::size_t i = 0; i < trees.size(); ++i) {
        if (left_out.at(i).size() > kMaxNodes)
            throw Error{ErrorCode::InvalidArgument, "The backup has too many device nodes"};
        for (const auto& node : left_out.at(i))
            make_node(trees[i].target, node);
    }
}

void Cage::unpack_trees(int archive, const std::vector<Tree>& trees, std::stop_token stop) const {
    std::size_t at = 0;
    for (const auto& part : unpack_trees_as(helper_, "tree", archive, trees, std::move(stop))) {
        if (!part.value("has_content", false)) refuse_missing(trees.at(at).prefix);
        ++at;
    }
}

void Cage::extract(int archive, const std::vector<Member>& members, const Dir& space, std::stop_token stop) const {
    const auto found = count_found(extract_members(helper_, archive, members, space, std::move(stop)));
    if (found < members.size()) refuse_missing(members[found].name);
}

std::size_t Cage::stream(int archive, const std::vector<Member>& members, const Dir& space, std::stop_token stop,
                         const std::function<void()>& begun) const {
    const auto reply =
        extract_members(helper_, archive, members, space, std::move(stop), [&](std::int64_t) { begun(); });
    const auto found = count_found(reply);
    if (found < members.size() && !reply.value("unordered", false)) refuse_missing(members[found].name);
    return found;
}

} // namespace lxdcore::image
