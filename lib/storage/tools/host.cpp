// SPDX-License-Identifier: Apache-2.0
#include "storage/tools/host.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/filesystem_mount.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::chrono::milliseconds kPoll{20};

/// Links below /dev lead to other names there.
UniqueFd open_device(const std::string& path, int flags) {
    constexpr std::string_view top = "/dev/";
    if (!path.starts_with(top)) throw Error{ErrorCode::InvalidArgument, path + ": not below /dev"};
    auto fd = Dir::open("/dev").open_file(std::string_view{path}.substr(top.size()), flags, 0, Links::InRoot);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) throw_errno(path);
    if (!S_ISBLK(info.st_mode)) throw Error{ErrorCode::InvalidArgument, path + ": not a block device"};
    return fd;
}

bool has_at(const UniqueFd& device, off_t offset, std::string_view magic) {
    std::array<char, 16> found{};
    const auto got = ::pread(device.get(), found.data(), magic.size(), offset);
    return got == static_cast<ssize_t>(magic.size()) && std::memcmp(found.data(), magic.data(), magic.size()) == 0;
}

void write_all(const UniqueFd& to, const char* data, std::size_t size, off_t offset, const std::string& path) {
    while (size > 0) {
        const auto wrote = ::pwrite(to.get(), data, size, offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) throw_errno(path);
        data += wrote;
        offset += wrote;
        size -= static_cast<std::size_t>(wrote);
    }
}

} // namespace

Host::~Host() = default;

void Host::mount(const std::string& source, const Dir& target, const std::string& type, const std::string& options) {
    mount_filesystem(source, target, type, MountOptions::parse(options));
}

Dir Host::mount_detached(const std::string& source, const Dir& scratch, const std::string& type,
                         const std::string& options) {
    const auto name = std::string{kScratchMount} + text::random_hex(8);
    const auto point = scratch.make_dir(name, 0700);
    Rollback undo;
    undo.add([&] { scratch.remove(name); });
    mount(source, point, type, options);
    undo.add([&] { unmount(scratch, name); });
    auto inside = scratch.dir(name);
    const auto path = fmt::format("/proc/self/fd/{}/{}", scratch.fd(), name);
    if (::umount2(path.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0) throw_errno("unmount " + inside.path());
    scratch.remove(name);
    undo.commit();
    return inside;
}

void Host::unmount(const Dir& parent, const std::string& name) {
    const auto path = fmt::format("/proc/self/fd/{}/{}", parent.fd(), name);
    if (mounted(parent, name)) storage::unmount(path);
}

bool Host::mounted(const Dir& parent, const std::string& name) const {
    struct statx here {};
    if (::statx(parent.fd(), name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &here) != 0) return false;
    return (here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
           (here.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void Host::freeze(const Dir& mounted) {
    if (::ioctl(mounted.fd(), FIFREEZE, 0) != 0) throw_errno("freeze " + mounted.path());
}

void Host::thaw(const Dir& mounted) {
    if (::ioctl(mounted.fd(), FITHAW, 0) != 0) throw_errno("thaw " + mounted.path());
}

void Host::set_attribute(const Dir& dir, const std::string& name, const std::string& value) {
    if (::fsetxattr(dir.fd(), name.c_str(), value.data(), value.size(), 0) != 0) throw_errno(dir.path());
}

std::string Host::attribute(const Dir& dir, const std::string& name) const {
    std::array<char, 256> value{};
    const auto size = ::fgetxattr(dir.fd(), name.c_str(), value.data(), value.size());
    if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) return "";
    if (size < 0) throw_errno(dir.path());
    return {value.data(), static_cast<std::size_t>(size)};
}

Host::Space Host::space(const Dir& mounted) const {
    struct statvfs fs {};
    if (::fstatvfs(mounted.fd(), &fs) != 0) throw_errno(mounted.path());
    return {.used = (fs.f_blocks - fs.f_bfree) * fs.f_frsize,
            .total = fs.f_blocks * fs.f_frsize,
            .used_inodes = fs.f_files - fs.f_ffree,
            .total_inodes = fs.f_files};
}

bool Host::has_kernel_module(const std::string& name) const {
    return ::access(("/sys/module/" + name).c_str(), F_OK) == 0;
}

bool Host::offers_kernel_module(const std::string& name) const {
    if (has_kernel_module(name)) return true;
    utsname kernel{};
    ::uname(&kernel);
    const auto folder = fmt::format("/lib/modules/{}", kernel.release);
    if (::access(folder.c_str(), F_OK) != 0) return false;
    auto file = name;
    std::replace(file.begin(), file.end(), '_', '-');
    const auto modules = Dir::open(folder);
    for (const char* list : {"modules.builtin", "modules.dep"}) {
        const auto text = modules.read_if_exists(list, 64 << 20).value_or("");
        for (const auto& spelling : {name, file})
            if (text.find("/" + spelling + ".ko") != std::string::npos) return true;
    }
    return false;
}

std::string Host::kernel_module_version(const std::string& name) const {
    const auto folder = "/sys/module/" + name;
    if (::access((folder + "/version").c_str(), F_OK) != 0) return "";
    return text::trim(Dir::open(folder).read("version"));
}

bool Host::is_block_device(const std::string& path) const {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
}

std::string Host::filesystem_of(const std::string& device) const {
    const auto fd = storage::open_device(device, O_RDONLY);
    if (has_at(fd, 0, "XFSB")) return "xfs";
    if (has_at(fd, 0x10040, "_BHRfS_M")) return "btrfs";
    if (has_at(fd, 0x438, "\x53\xef")) return "ext4";
    return "";
}

std::int64_t Host::device_size(const std::string& device) const {
    const auto fd = storage::open_device(device, O_RDONLY);
    std::uint64_t size = 0;
    if (::ioctl(fd.get(), BLKGETSIZE64, &size) != 0) throw_errno(device);
    return static_cast<std::int64_t>(size);
}

UniqueFd Host::open_device(const std::string& path, int flags) {
    using Clock = std::chrono::steady_clock;
    for (const auto end = Clock::now() + std::chrono::seconds{10};; std::this_thread::sleep_for(kPoll)) {
        try {
            return storage::open_device(path, flags);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::NotFound || Clock::now() > end) throw;
        }
    }
}

void Host::zero_device(const std::string& device, std::int64_t from) {
    const auto fd = storage::open_device(device, O_RDWR | O_EXCL);
    const auto size = device_size(device);
    if (from >= size) return;
    const std::uint64_t range[] = {static_cast<std::uint64_t>(from), static_cast<std::uint64_t>(size - from)};
    if (::ioctl(fd.get(), BLKZEROOUT, range) != 0) throw_errno("zeros on " + device);
}

void Host::copy_device(const std::string& from, const std::string& to, std::int64_t bytes, std::stop_token stop) {
    const auto source = open_device(from, O_RDONLY);
    const auto target = open_device(to, O_WRONLY | O_EXCL);
    std::vector<char> buffer(4 << 20);
    for (off_t offset = 0; offset < bytes;) {
        if (stop.stop_requested()) throw Error{ErrorCode::Cancelled, "copy of " + from + ": cancelled"};
        const auto size = std::min<std::int64_t>(static_cast<std::int64_t>(buffer.size()), bytes - offset);
        const auto got = ::pread(source.get(), buffer.data(), static_cast<std::size_t>(size), offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno(from);
        if (got == 0) break;
        write_all(target, buffer.data(), static_cast<std::size_t>(got), offset, to);
        offset += got;
    }
    if (::fsync(target.get()) != 0) throw_errno(to);
}

} // namespace lxdcore::storage
