// SPDX-License-Identifier: Apache-2.0
#include "http/spool.hpp"

#include <algorithm>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "http/response.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::int64_t kInMemory = 64 * 1024;
constexpr std::int64_t kCheckEvery = 16 << 20;           ///< bytes between two looks at the free space
constexpr std::int64_t kReserve = std::int64_t{1} << 30; ///< free space that is kept, at most

int open_spool(const std::filesystem::path& dir, std::int64_t length) {
    const int fd = length >= 0 && length <= kInMemory ? ::memfd_create("body", MFD_CLOEXEC)
                                                      : ::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) throw_errno("open spool file");
    return fd;
}

void write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const auto done = ::write(fd, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) throw_errno("write spool file");
        data += done;
        size -= static_cast<std::size_t>(done);
    }
}

/// The daemon keeps something of the disk for itself, however much is sent (R54).
void require_space(int fd) {
    struct statvfs fs {};
    if (::fstatvfs(fd, &fs) != 0) throw_errno("spool file");
    const auto size = static_cast<std::int64_t>(fs.f_blocks * fs.f_frsize);
    const auto free = static_cast<std::int64_t>(fs.f_bavail * fs.f_frsize);
    if (free <= std::min(size / 20, kReserve)) throw Error{ErrorCode::NoSpace, "No space left for what is uploaded"};
}

} // namespace

Awaitable<std::shared_ptr<int>> spool_body(Exchange& exchange, const std::filesystem::path& dir) {
    const auto file = file_body(open_spool(dir, exchange.body.length()), -1).fd;
    const auto length = exchange.body.length();
    const std::size_t capacity =
        length >= 0 && length < static_cast<std::int64_t>(kPiece) ? static_cast<std::size_t>(length) + 1 : kPiece;
    const auto piece = std::make_unique<char[]>(capacity);
    std::size_t filled = 0;
    const bool on_disk = length < 0 || length > kInMemory;
    std::int64_t until_check = 0;
    auto flush = [&] {
        if (on_disk && until_check <= 0) {
            require_space(*file);
            until_check = kCheckEvery;
        }
        until_check -= static_cast<std::int64_t>(filled);
        write_all(*file, piece.get(), filled);
        filled = 0;
    };
    while (true) {
        const auto size = co_await exchange.body.read(asio::buffer(piece.get() + filled, capacity - filled));
        filled += size;
        if (size > 0 && filled < capacity) continue;
        if (filled > 0) co_await exchange.blocking(flush);
        if (size == 0) break;
    }
    ::lseek(*file, 0, SEEK_SET);
    co_return file;
}

} // namespace lxdcore::daemon
