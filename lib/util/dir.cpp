// SPDX-License-Identifier: Apache-2.0
#include "util/dir.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include <dirent.h>
#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore {

namespace {

[[noreturn]] void fail(const std::string& base, std::string_view name, int err) {
    const auto path = name.empty() ? base : base + "/" + std::string{name};
    switch (err) {
    case ELOOP:
    case EXDEV:
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}: leaves its directory or is a link", path)};
    case ENOTDIR:
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}: not a directory", path)};
    case ENAMETOOLONG:
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}: file name too long", path)};
    case EEXIST:
        throw Error{ErrorCode::AlreadyExists, fmt::format("{}: exists already", path)};
    default:
        throw_errno(path, err);
    }
}

/// -1 with errno. @p name is not empty.
int open_beneath(int dir, const std::string& name, int flags, mode_t mode, Links links) {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC | O_NOCTTY);
    if (flags & O_PATH) how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) how.mode = mode;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    how.resolve |= links == Links::InRoot ? RESOLVE_IN_ROOT : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    for (int attempt = 0;; ++attempt) {
        const auto fd = static_cast<int>(::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how));
        // EAGAIN: the kernel could not rule out that a concurrent rename let ".." escape.
        if (fd >= 0 || (errno != EINTR && (errno != EAGAIN || attempt > 100))) return fd;
    }
}

/// A name that ends in a component of its own, for calls that act on a directory entry.
struct Entry {
    UniqueFd parent_owner;
    int parent;
    std::string leaf;
};

Entry entry_of(int dir, const std::string& base, std::string_view name) {
    if (name.find('\0') != std::string_view::npos) fail(base, "", EINVAL);
    const auto slash = name.rfind('/');
    Entry entry{UniqueFd{}, dir, std::string{slash == std::string_view::npos ? name : name.substr(slash + 1)}};
    if (entry.leaf.empty() || entry.leaf == "." || entry.leaf == "..") {
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}: not a name: {}", base, text::quote(name))};
    }
    if (slash == std::string_view::npos) return entry;
    const std::string parent{slash == 0 ? "/" : name.substr(0, slash)};
    entry.parent_owner.reset(open_beneath(dir, parent, O_PATH | O_DIRECTORY, 0, Links::Refuse));
    if (!entry.parent_owner) fail(base, parent, errno);
    entry.parent = entry.parent_owner.get();
    return entry;
}

void write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const auto wrote = ::write(fd, content.data(), content.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) throw_errno(path);
        content.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

} // namespace

Dir Dir::open(const std::string& absolute_path) {
    UniqueFd fd{::open(absolute_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!fd) fail(absolute_path, "", errno);
    return Dir{std::move(fd), absolute_path};
}

Dir Dir::open_or_make(const std::string& absolute_path) {
    std::error_code failure;
    std::filesystem::create_directories(absolute_path, failure);
    if (failure) fail(absolute_path, "", failure.value());
    return open(absolute_path);
}

Dir Dir::clone() const {
    UniqueFd fd{::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3)};
    if (!fd) throw_errno(path_);
    return Dir{std::move(fd), path_};
}

UniqueFd Dir::open_file(std::string_view name, int flags, mode_t mode, Links links) const {
    if (name.find('\0') != std::string_view::npos) fail(path_, "", EINVAL);
    UniqueFd fd{open_beneath(fd_.get(), name.empty() ? "." : std::string{name}, flags, mode, links)};
    if (!fd) fail(path_, name, errno);
    return fd;
}

Dir Dir::dir(std::string_view name, Links links) const {
    return Dir{open_file(name, O_RDONLY | O_DIRECTORY, 0, links), path_ + "/" + std::string{name}};
}

Dir Dir::make_dir(std::string_view name, mode_t mode) const {
    Dir here = clone();
    for (const auto& part : text::split(name, '/')) {
        const auto entry = entry_of(here.fd(), here.path_, part);
        const bool made = ::mkdirat(here.fd(), entry.leaf.c_str(), mode) == 0;
        if (!made && errno != EEXIST) fail(here.path_, part, errno);
        Dir next = here.dir(part);
        if (made && ::fchmod(next.fd(), mode) != 0) fail(here.path_, part, errno); // whatever the umask is
        here = std::move(next);
    }
    return here;
}

std::string Dir::read(std::string_view name, std::size_t max) const {
    // Looked at before it is opened: opening a device or a fifo has effects.
    const UniqueFd handle = open_file(name, O_PATH);
    struct stat status {};
    if (::fstat(handle.get(), &status) != 0) fail(path_, name, errno);
    if (!S_ISREG(status.st_mode) || status.st_nlink > 1) {
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}/{}: not a regular file of its own", path_, name)};
    }
    const UniqueFd fd{::open(fmt::format("/proc/self/fd/{}", handle.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (!fd) fail(path_, name, errno);
    std::string content;
    constexpr std::size_t step = 16384;
    for (;;) {
        const auto have = content.size();
        content.resize(have + std::max(step, static_cast<std::size_t>(std::min<off_t>(status.st_size + 1, max + 1))));
        const auto got = ::read(fd.get(), content.data() + have, content.size() - have);
        if (got < 0 && errno != EINTR) fail(path_, name, errno);
        content.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (content.size() > max) {
            throw Error{ErrorCode::TooLarge, fmt::format("{}/{}: larger than {} bytes", path_, name, max)};
        }
        if (got == 0) return content;
        status.st_size = 0;
    }
}

std::optional<std::string> Dir::read_if_exists(std::string_view name, std::size_t max) const {
    try {
        return read(name, max);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::NotFound) return std::nullopt;
        throw;
    }
}

void Dir::write(std::string_view name, std::string_view content, mode_t mode) const {
    const auto entry = entry_of(fd_.get(), path_, name);
    const auto path = path_ + "/" + std::string{name};
    const auto temporary = fmt::format(".{}.{}", entry.leaf.substr(0, 200), text::random_hex(6));
    UniqueFd fd{open_beneath(entry.parent, temporary, O_WRONLY | O_CREAT | O_EXCL, mode, Links::Refuse)};
    if (!fd) fail(path_, name, errno);
    try {
        if (::fchmod(fd.get(), mode) != 0) throw_errno(path);
        write_all(fd.get(), content, path);
        if (::fsync(fd.get()) != 0) throw_errno(path);
        if (::renameat(entry.parent, temporary.c_str(), entry.parent, entry.leaf.c_str()) != 0) throw_errno(path);
    } catch (...) {
        ::unlinkat(entry.parent, temporary.c_str(), 0);
        throw;
    }
    const UniqueFd parent{open_beneath(entry.parent, ".", O_RDONLY | O_DIRECTORY, 0, Links::Refuse)};
    if (!parent || ::fsync(parent.get()) != 0) throw_errno(path);
}

void Dir::write_kernel(std::string_view name, std::string_view content) const {
    const UniqueFd fd = open_file(name, O_WRONLY);
    // One write(2): the kernel takes each as a command of its own.
    if (::write(fd.get(), content.data(), content.size()) < 0) throw_errno(path_ + "/" + std::string{name});
}

bool Dir::exists(std::string_view name) const { return stat_if_exists(name).has_value(); }

struct stat Dir::stat(std::string_view name) const {
    auto status = stat_if_exists(name);
    if (!status) fail(path_, name, ENOENT);
    return *status;
}

std::optional<struct stat> Dir::stat_if_exists(std::string_view name) const {
    struct stat status {};
    int result = 0;
    if (name.empty() || name == ".") {
        result = ::fstat(fd_.get(), &status);
    } else {
        try {
            const auto entry = entry_of(fd_.get(), path_, name);
            result = ::fstatat(entry.parent, entry.leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::NotFound) return std::nullopt;
            throw;
        }
    }
    if (result == 0) return status;
    if (errno == ENOENT) return std::nullopt;
    fail(path_, name, errno);
}

std::vector<std::string> Dir::list() const {
    UniqueFd fd{open_beneath(fd_.get(), ".", O_RDONLY | O_DIRECTORY, 0, Links::Refuse)};
    if (!fd) fail(path_, "", errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(fd.get()), ::closedir};
    if (!stream) fail(path_, "", errno);
    fd.release();
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) break;
        const std::string_view name{entry->d_name};
        if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) fail(path_, "", errno);
    std::sort(names.begin(), names.end());
    return names;
}

void Dir::remove(std::string_view name) const {
    const auto entry = entry_of(fd_.get(), path_, name);
    if (::unlinkat(entry.parent, entry.leaf.c_str(), 0) == 0 || errno == ENOENT) return;
    if (errno != EISDIR && errno != EPERM) fail(path_, name, errno);
    if (::unlinkat(entry.parent, entry.leaf.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) fail(path_, name, errno);
}

void Dir::rename(std::string_view from, std::string_view to) const {
    const auto source = entry_of(fd_.get(), path_, from);
    const auto target = entry_of(fd_.get(), path_, to);
    if (::renameat2(source.parent, source.leaf.c_str(), target.parent, target.leaf.c_str(), RENAME_NOREPLACE) != 0) {
        fail(path_, errno == EEXIST ? to : from, errno);
    }
}

void Dir::replace(std::string_view from, std::string_view to) const {
    const auto source = entry_of(fd_.get(), path_, from);
    const auto target = entry_of(fd_.get(), path_, to);
    if (::renameat(source.parent, source.leaf.c_str(), target.parent, target.leaf.c_str()) != 0) {
        fail(path_, from, errno);
    }
}

void Dir::exchange(std::string_view a, std::string_view b) const {
    const auto first = entry_of(fd_.get(), path_, a);
    const auto second = entry_of(fd_.get(), path_, b);
    if (::renameat2(first.parent, first.leaf.c_str(), second.parent, second.leaf.c_str(), RENAME_EXCHANGE) != 0)
        fail(path_, a, errno);
}

void Dir::rename_to(std::string_view from, const Dir& other, std::string_view to) const {
    const auto source = entry_of(fd_.get(), path_, from);
    const auto target = entry_of(other.fd(), other.path_, to);
    if (::renameat2(source.parent, source.leaf.c_str(), target.parent, target.leaf.c_str(), RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST) fail(other.path_, to, errno);
        throw_errno(fmt::format("{}/{} to {}/{}", path_, from, other.path_, to));
    }
}

void Dir::symlink(std::string_view target, std::string_view name) const {
    const auto entry = entry_of(fd_.get(), path_, name);
    if (::symlinkat(std::string{target}.c_str(), entry.parent, entry.leaf.c_str()) != 0) fail(path_, name, errno);
}

void Dir::sync() const {
    if (::fsync(fd_.get()) != 0) throw_errno(path_);
}

} // namespace lxdcore
