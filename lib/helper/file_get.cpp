// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "helper/file_ops.hpp"
#include "helper/reply.hpp"
#include "helper/watchdog.hpp"
#include "util/byte_text.hpp"

namespace lxdcore::helper {

namespace {

constexpr std::size_t kMaxNames = 64u << 20; ///< bytes of names in one directory
constexpr std::size_t kBlock = 256u << 10;

const char* type_name(mode_t mode) {
    if (S_ISDIR(mode)) return "directory";
    return S_ISLNK(mode) ? "symlink" : "file";
}

std::string link_target(int fd, const std::string& path) {
    std::string target(4096, '\0');
    const ssize_t n = ::readlinkat(fd, "", target.data(), target.size());
    if (n < 0) throw_file_error("readlink", path, errno);
    target.resize(static_cast<std::size_t>(n));
    return target;
}

std::vector<std::string> names_in(UniqueFd fd, const std::string& path, Watchdog& dog) {
    const int number = fd.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> dir{::fdopendir(number), ::closedir};
    if (!dir) throw_file_error("open", path, errno);
    std::vector<std::string> names;
    std::size_t total = 0;
    errno = 0;
    while (const dirent* const item = ::readdir(dir.get())) {
        const std::string_view name{item->d_name};
        if (name == "." || name == "..") continue;
        total += name.size() + 1;
        if (total > kMaxNames) throw Error{ErrorCode::TooLarge, "Directory has too many entries"};
        names.emplace_back(name);
        dog.beat();
    }
    if (errno != 0) throw_file_error("readdir", path, errno);
    std::sort(names.begin(), names.end());
    return names;
}

/// False when the reader has gone.
bool write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const ssize_t n = ::write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        size -= static_cast<std::size_t>(n);
    }
    return true;
}

void send_names(const std::vector<std::string>& names, int out, Watchdog& dog) {
    dog.pause();
    std::string block;
    for (const auto& name : names) {
        block.append(name.c_str(), name.size() + 1);
        if (block.size() < kBlock) continue;
        if (!write_all(out, block.data(), block.size())) return;
        block.clear();
    }
    write_all(out, block.data(), block.size());
}

void send_content(int in, int out, Watchdog& dog) {
    const auto block = std::make_unique<char[]>(kBlock);
    for (;;) {
        dog.beat();
        const ssize_t n = ::read(in, block.get(), kBlock);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; // the length that was announced tells the reader when something is missing
        dog.pause();
        if (!write_all(out, block.get(), static_cast<std::size_t>(n))) return;
    }
}

} // namespace

void get_file(const GuestRoot& root, const FileRequest& request, UniqueFd data, Reply& reply, Watchdog& dog) {
    const UniqueFd fd = root.try_open(request.path, O_PATH | O_NOFOLLOW);
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) throw_file_error("lstat", request.path, errno);
    const bool regular = S_ISREG(info.st_mode);
    nlohmann::json answer{
        {"type", type_name(info.st_mode)},           {"uid", request.inside(kUids, info.st_uid)},
        {"gid", request.inside(kGids, info.st_gid)}, {"mode", info.st_mode & 07777},
        {"size", regular ? info.st_size : 0},        {"mtime", {info.st_mtim.tv_sec, info.st_mtim.tv_nsec}}};
    UniqueFd content;
    std::vector<std::string> names;
    if (S_ISLNK(info.st_mode)) {
        answer["target"] = bytes_to_text(link_target(fd.get(), request.path));
    } else if (request.data && (regular || S_ISDIR(info.st_mode))) {
        // Only these two are ever opened: opening a pipe or a device can block or do things.
        content = root.reopen(fd.get(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (!content) throw_file_error("open", request.path, errno);
        if (!regular) names = names_in(std::move(content), request.path, dog);
    }
    reply.ok(std::move(answer));
    if (!request.data) return;
    if (regular)
        send_content(content.get(), data.get(), dog);
    else
        send_names(names, data.get(), dog);
}

} // namespace lxdcore::helper
