// SPDX-License-Identifier: Apache-2.0
#include "helper/unpack_squashfs.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore::helper {

namespace {

constexpr std::size_t kMostComplaints = 65536;
constexpr std::size_t kMostMetadata = 1 << 20;
constexpr const char* kPlace = "/tmp";

using Sink = std::function<void(std::string_view piece)>;

/// The exit code; @p sink gets what is written to @p stream. @p options, then what of the archive they are about.
int run_unsquashfs(int archive, std::vector<const char*> options, const std::vector<const char*>& entries, int stream,
                   const Sink& sink) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("unpack");
    UniqueFd reading{ends[0]}, writing{ends[1]};
    const auto source = "/proc/self/fd/" + std::to_string(archive);
    options.insert(options.begin(), {"unsquashfs", "-no-wildcards"});
    options.push_back(source.c_str());
    options.insert(options.end(), entries.begin(), entries.end());
    options.push_back(nullptr);
    const pid_t child = ::fork();
    if (child < 0) throw_errno("unpack: fork");
    if (child == 0) {
        ::fcntl(archive, F_SETFD, 0);
        ::dup2(writing.get(), stream);
        ::execvp("unsquashfs", const_cast<char* const*>(options.data()));
        ::_exit(127);
    }
    writing.reset();
    std::vector<char> block(65536);
    for (ssize_t n = 0; (n = ::read(reading.get(), block.data(), block.size())) != 0;) {
        if (n < 0 && errno != EINTR) break;
        if (n > 0) sink({block.data(), static_cast<std::size_t>(n)});
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    if (code == 127) throw Error{ErrorCode::Unsupported, "unsquashfs is not installed (squashfs-tools)"};
    return code;
}

/// The beginning of a text.
Sink into(std::string& text, std::size_t most) {
    return [&text, most](std::string_view piece) {
        if (text.size() < most) text.append(piece);
    };
}

/// Every complaint is about a device node, which the cage may not make.
bool only_devices(std::string_view complaints) {
    while (!complaints.empty()) {
        const auto line = complaints.substr(0, complaints.find('\n'));
        if (!line.empty() && line.find("device") == std::string_view::npos) return false;
        complaints.remove_prefix(std::min(complaints.size(), line.size() + 1));
    }
    return true;
}

std::string prefix_of(const ArchiveContent& content) {
    return content.prefixes.empty() ? std::string{} : content.prefixes.front();
}

/// Extraction keeps the whole path of an entry: @p target is put where what is below @p prefix ends up.
void place_target(int target, std::string_view prefix) {
    std::string path = kPlace;
    if (::mount("none", kPlace, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m") != 0) throw_errno("unpack: /tmp");
    while (!prefix.empty()) {
        const auto step = prefix.substr(0, prefix.find('/'));
        path.append("/").append(step);
        if (::mkdir(path.c_str(), 0700) != 0) throw_errno("unpack: " + path);
        prefix.remove_prefix(std::min(prefix.size(), step.size() + 1));
    }
    if (::syscall(SYS_move_mount, target, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
        throw_errno("unpack: move_mount");
    if (::chdir(kPlace) != 0) throw_errno("unpack");
}

std::vector<std::string> wanted(const ArchiveContent& content) {
    const auto prefix = prefix_of(content);
    if (content.image) return {prefix + "metadata.yaml", prefix + "templates", prefix + "rootfs"};
    if (prefix.empty()) return {};
    return {prefix.substr(0, prefix.size() - 1)};
}

/// @p left_out: whether there are device nodes, which the cage may not make.
PartSummary unsquash(int archive, int target, const ArchiveContent& content, bool& left_out) {
    const auto prefix = prefix_of(content);
    if (prefix.empty()) {
        if (::fchdir(target) != 0) throw_errno("unpack");
    } else {
        place_target(target, prefix);
    }
    const auto names = wanted(content);
    std::vector<const char*> entries;
    for (const auto& name : names)
        entries.push_back(name.c_str());
    std::string complaints;
    const int code = run_unsquashfs(archive, {"-f", "-n", "-q", "-p", "2", "-d", "."}, entries, STDERR_FILENO,
                                    into(complaints, kMostComplaints));
    if (code != 0 && (code != 2 || !only_devices(complaints))) {
        if (complaints.find("No space left") != std::string::npos)
            throw Error{ErrorCode::NoSpace, "unpack: No space left on device"};
        throw Error{ErrorCode::InvalidArgument, "Damaged image: " + complaints.substr(0, complaints.find('\n'))};
    }
    PartSummary summary;
    struct stat status {};
    summary.has_rootfs = ::fstatat(target, "rootfs", &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
    left_out = code != 0;
    return summary;
}

/// "crw-rw-rw- 0/0   1,  3 2026-01-02 03:04 /backup/container/rootfs/null"; nothing for what is no device node below
/// @p top, and for whiteouts, which the cage may make.
std::optional<LeftOutNode> node_of(const std::string& line, const std::string& top) {
    if (line.size() < 11 || (line[0] != 'c' && line[0] != 'b')) return std::nullopt;
    LeftOutNode node;
    int first = 0, second = 0, used = 0;
    if (std::sscanf(line.c_str() + 10, " %" SCNd64 "/%" SCNd64 " %d,%d %*10s %*5s%n", &node.uid, &node.gid, &first,
                    &second, &used) != 4 ||
        used == 0)
        return std::nullopt;
    const auto path = line.find(top, 10 + static_cast<std::size_t>(used));
    if (path != 11 + static_cast<std::size_t>(used)) return std::nullopt;
    node.path = line.substr(path + top.size() - std::string_view{"rootfs/"}.size());
    for (int bit = 0; bit < 9; ++bit) {
        const char seen = line[static_cast<std::size_t>(1 + bit)];
        if (seen != '-' && seen != 'S' && seen != 'T') node.mode |= 0400u >> bit;
        if (bit % 3 == 2 && std::string_view{"sStT"}.find(seen) != std::string_view::npos)
            node.mode |= 04000u >> bit / 3;
    }
    node.mode |= line[0] == 'c' ? S_IFCHR : S_IFBLK;
    // Shown as two parts of the number that is stored, whose higher bits are those of the minor one.
    const auto stored = static_cast<std::uint32_t>(first) << 8 | (static_cast<std::uint32_t>(second) & 0xff);
    node.major = stored >> 8 & 0xfff;
    node.minor = (stored & 0xff) | (stored >> 12 & 0xfff00);
    if (S_ISCHR(node.mode) && stored == 0) return std::nullopt;
    return node;
}

/// The device nodes of an instance, as they are listed. Other names of one are nodes of their own.
std::vector<LeftOutNode> list_nodes(int archive, const std::string& prefix) {
    const auto top = "/" + prefix + "rootfs/", path = prefix + "rootfs";
    std::vector<LeftOutNode> nodes;
    std::string line;
    const auto read = [&](std::string_view piece) {
        for (const char c : piece) {
            if (c != '\n') {
                if (line.size() < kMostComplaints) line += c;
                continue;
            }
            if (auto node = node_of(line, top); node && nodes.size() <= kMostNodes) nodes.push_back(std::move(*node));
            line.clear();
        }
    };
    if (run_unsquashfs(archive, {"-lln", "-d", ""}, {path.c_str()}, STDOUT_FILENO, read) != 0)
        throw Error{ErrorCode::InvalidArgument, "Damaged image: no squashfs can be read"};
    return nodes;
}

/// The text of one file.
bool read_text(int archive, const std::string& name, std::string& text) {
    const int code = run_unsquashfs(archive, {"-cat"}, {name.c_str()}, STDOUT_FILENO, into(text, kMostMetadata + 1));
    if (text.size() > kMostMetadata)
        throw Error{ErrorCode::InvalidArgument, name + " of the archive is larger than 1 MiB"};
    if (code != 0 && !text.empty()) throw Error{ErrorCode::InvalidArgument, "Damaged image: " + name};
    return code == 0;
}

/// The names down to a depth, one a line; @p path: those on the way to it only.
std::string list(int archive, const std::string& path) {
    std::string text;
    std::vector<const char*> entries;
    if (!path.empty()) entries.push_back(path.c_str());
    const auto depth = std::to_string(1 + std::count(path.begin(), path.end(), '/'));
    if (run_unsquashfs(archive, {"-l", "-d", "", "-max-depth", depth.c_str()}, entries, STDOUT_FILENO,
                       into(text, kMostComplaints)) != 0)
        throw Error{ErrorCode::InvalidArgument, "Damaged image: no squashfs can be read"};
    return "\n" + text + "\n";
}

/// What an image in one file is; all of it is looked at when it is unpacked.
PartSummary glance_at_image(int archive) {
    const auto lines = list(archive, "");
    PartSummary summary;
    summary.has_metadata = lines.find("\n/metadata.yaml\n") != std::string::npos;
    summary.has_rootfs = lines.find("\n/rootfs\n") != std::string::npos;
    if (summary.has_metadata && !read_text(archive, "metadata.yaml", summary.metadata))
        throw Error{ErrorCode::InvalidArgument, "Damaged image: metadata.yaml cannot be read"};
    return summary;
}

void write_all(int out, std::string_view data) {
    while (!data.empty()) {
        const auto n = ::write(out, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("unpack");
        data.remove_prefix(static_cast<std::size_t>(n));
    }
}

/// One file's content: zeros become holes where they can.
PartSummary extract(int archive, int target, const std::string& member, const UnpackLimits& limits) {
    struct stat status {};
    if (::fstat(target, &status) != 0) throw_errno("unpack " + member);
    const bool seekable = S_ISREG(status.st_mode);
    PartSummary summary;
    std::int64_t read = 0, stored = 0;
    const auto store = [&](std::string_view piece) {
        const bool hole = seekable && piece.find_first_not_of('\0') == std::string_view::npos;
        read += static_cast<std::int64_t>(piece.size());
        if (!hole) stored += static_cast<std::int64_t>(piece.size());
        if (stored > limits.bytes) throw Error{ErrorCode::TooLarge, "The unpacked image is too large"};
        if (!hole) return write_all(target, piece);
        if (::lseek(target, static_cast<off_t>(piece.size()), SEEK_CUR) < 0) throw_errno("unpack " + member);
    };
    const int code = run_unsquashfs(archive, {"-cat"}, {member.c_str()}, STDOUT_FILENO, store);
    if (code != 0 && read > 0) throw Error{ErrorCode::InvalidArgument, "Damaged image: " + member};
    summary.has_content = code == 0;
    if (seekable && ::ftruncate(target, read) != 0) throw_errno("unpack " + member);
    if (!seekable) ::shutdown(target, SHUT_WR);
    return summary;
}

PartSummary read_part(int archive, int target, const ArchiveContent& content, const UnpackLimits& limits) {
    if (!content.document.empty()) {
        PartSummary summary;
        summary.has_metadata = read_text(archive, content.document, summary.metadata);
        return summary;
    }
    if (target < 0) return glance_at_image(archive);
    if (!content.members.empty()) return extract(archive, target, content.members.front(), limits);
    bool left_out = false;
    auto summary = unsquash(archive, target, content, left_out);
    if (const auto prefix = prefix_of(content); !prefix.empty()) {
        const auto path = prefix.substr(0, prefix.size() - 1);
        summary.has_content = list(archive, path).find("\n/" + path + "\n") != std::string::npos;
        if (content.image && left_out) summary.nodes = list_nodes(archive, prefix);
    }
    return summary;
}

} // namespace

ArchiveSummary read_squashfs(int archive, int target, const ArchiveContent& content, const UnpackLimits& limits) {
    ArchiveSummary summary;
    summary.parts.push_back(read_part(archive, target, content, limits));
    return summary;
}

} // namespace lxdcore::helper
