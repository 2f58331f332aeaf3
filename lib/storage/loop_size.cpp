// SPDX-License-Identifier: Apache-2.0
#include "storage/loop_size.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <lxdcore/error.hpp>

namespace lxdcore::storage {

namespace {

std::int64_t free_bytes(const Dir& dir) {
    struct statvfs fs {};
    if (::fstatvfs(dir.fd(), &fs) != 0) throw_errno(dir.path());
    // Some stays for the daemon (R54).
    const auto total = static_cast<std::int64_t>(fs.f_blocks * fs.f_frsize);
    const auto available = static_cast<std::int64_t>(fs.f_bavail * fs.f_frsize);
    return std::max<std::int64_t>(0, available - std::min(std::int64_t{1} << 30, total / 20));
}

} // namespace

std::string default_loop_size(const Dir& state_dir) {
    struct statvfs fs {};
    if (::fstatvfs(state_dir.fd(), &fs) != 0) throw_errno(state_dir.path());
    const auto fifth = static_cast<std::int64_t>(fs.f_blocks * fs.f_frsize >> 30) / 5;
    return fmt::format("{}GiB", std::min(std::clamp<std::int64_t>(fifth, 5, 30), free_bytes(state_dir) >> 30));
}

void check_loop_space(const Dir& state_dir, std::int64_t bytes) {
    if (bytes > free_bytes(state_dir))
        throw Error{ErrorCode::NoSpace, fmt::format("Not enough space for a file of {} bytes", bytes)};
}

} // namespace lxdcore::storage
