// SPDX-License-Identifier: Apache-2.0
#include "storage/block_content.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::storage {

namespace {

constexpr std::int64_t kStep = 8192; ///< sizes of files are multiples of it, as LXD's
constexpr std::size_t kChunk = 1 << 20;

struct stat status_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw_errno("block volume");
    return status;
}

/// As much as there is, up to @p size.
std::size_t read_full(int fd, char* data, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
        const auto got = ::read(fd, data + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno("read of a block volume");
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

bool is_zero(const char* data, std::size_t size) {
    return size == 0 || (data[0] == 0 && std::memcmp(data, data + 1, size - 1) == 0);
}

bool is_zero_at(int fd, std::size_t size, off_t at, std::vector<char>& buffer) {
    const auto got = ::pread(fd, buffer.data(), size, at);
    if (got < 0) throw_errno("read of a block volume");
    return is_zero(buffer.data(), static_cast<std::size_t>(got)); // the rest is behind the end of a file
}

void write_at(int fd, const char* data, std::size_t size, off_t at) {
    while (size > 0) {
        const auto wrote = ::pwrite(fd, data, size, at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == ENOSPC)
            throw Error{ErrorCode::NoSpace, "The block volume is too small for its image"};
        if (wrote < 0) throw_errno("write of a block volume");
        data += wrote;
        at += wrote;
        size -= static_cast<std::size_t>(wrote);
    }
}

} // namespace

void make_block_image(const Dir& volume, std::int64_t bytes) {
    if (bytes <= 0) bytes = kBlockDefault;
    const auto rounded = (bytes + kStep - 1) / kStep * kStep;
    const auto image = volume.open_file(kBlockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const auto info = status_of(image.get());
    if (!S_ISREG(info.st_mode)) throw Error{ErrorCode::InvalidArgument, "The image of a block volume is no file"};
    if (rounded < info.st_size) throw Error{ErrorCode::Internal, "Block volumes cannot be shrunk: Cannot be shrunk"};
    if (::ftruncate(image.get(), rounded) != 0) throw_errno("size of " + volume.path());
    if (::fsync(image.get()) != 0) throw_errno(volume.path());
}

std::int64_t block_size(int fd) {
    const auto status = status_of(fd);
    if (!S_ISBLK(status.st_mode)) return status.st_size;
    std::uint64_t size = 0;
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0) throw_errno("size of a device");
    return static_cast<std::int64_t>(size);
}

void copy_block(int from, int to, const std::stop_token& stop, std::int64_t bytes) {
    std::vector<char> buffer(kChunk), there(kChunk);
    off_t at = 0;
    for (;;) {
        if (stop.stop_requested()) throw Error{ErrorCode::Cancelled, "copy of a block volume: cancelled"};
        const auto size = std::min<std::int64_t>(kChunk, bytes - at);
        const auto got = read_full(from, buffer.data(), static_cast<std::size_t>(size));
        if (got == 0) break;
        if (!is_zero(buffer.data(), got) || !is_zero_at(to, got, at, there)) write_at(to, buffer.data(), got, at);
        at += static_cast<off_t>(got);
    }
    const auto status = status_of(to);
    if (S_ISREG(status.st_mode) && status.st_size < at && ::ftruncate(to, at) != 0)
        throw_errno("size of a block volume");
    if (::fsync(to) != 0) throw_errno("block volume");
}

} // namespace lxdcore::storage
