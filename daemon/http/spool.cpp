// SPDX-License-Identifier: Apache-2.0
#include "http/spool.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "http/response.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::int64_t kInMemory = 64 * 1024;

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

} // namespace

Awaitable<std::shared_ptr<int>> spool_body(Exchange& exchange, const std::filesystem::path& dir) {
    const auto file = file_body(open_spool(dir, exchange.body.length()), -1).fd;
    const auto length = exchange.body.length();
    const std::size_t capacity =
        length >= 0 && length < static_cast<std::int64_t>(kPiece) ? static_cast<std::size_t>(length) + 1 : kPiece;
    const auto piece = std::make_unique<char[]>(capacity);
    std::size_t filled = 0;
    auto flush = [&] {
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
