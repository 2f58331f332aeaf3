// SPDX-License-Identifier: Apache-2.0
#include "system/block_device.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

UniqueFd open_path(const std::string& path) {
    const auto first = path.find_first_not_of('/');
    return Dir::open("/").open_file(first == std::string::npos ? "." : path.substr(first), O_PATH, 0, Links::InRoot);
}

struct stat stat_of(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) throw_errno("stat");
    return info;
}

/// Filesystems over several disks have a number of their own; mountinfo names one of the disks.
std::optional<dev_t> mount_source(dev_t device) {
    const auto wanted = fmt::format("{}:{}", major(device), minor(device));
    for (const auto& line : text::split(Dir::open("/proc/self").read("mountinfo", 16 << 20), '\n')) {
        const auto dash = line.find(" - ");
        const auto fields = text::split(line, ' ');
        if (dash == std::string::npos || fields.size() < 3 || fields[2] != wanted) continue;
        const auto source = text::split(line.substr(dash + 3), ' ');
        if (source.size() < 2 || !source[1].starts_with("/dev/")) continue;
        const auto info = stat_of(open_path(source[1]).get());
        if (S_ISBLK(info.st_mode)) return info.st_rdev;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> block_device_of(const std::string& path) { return block_device_of(open_path(path).get()); }

std::optional<std::string> block_device_of(int fd) {
    const auto info = stat_of(fd);
    auto device = S_ISBLK(info.st_mode) ? info.st_rdev : info.st_dev;
    if (major(device) == 0) {
        const auto source = mount_source(device);
        if (!source) return std::nullopt;
        device = *source;
    }
    const auto number = fmt::format("{}:{}", major(device), minor(device));
    const auto sys = Dir::open("/sys");
    const auto entry = [&](const std::string& name) -> std::optional<std::string> {
        try {
            return sys.dir("dev/block/" + number, Links::InRoot).read_if_exists(name);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::NotFound) throw;
            return std::nullopt;
        }
    };
    if (!entry("dev")) return std::nullopt;
    if (!entry("partition")) return number;
    return text::trim(sys.dir("dev/block/" + number + "/..", Links::InRoot).read("dev"));
}

} // namespace lxdcore
