// SPDX-License-Identifier: Apache-2.0
#include "client/local_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include <lxdcore/error.hpp>

namespace lxdcore::client {

namespace {
constexpr std::size_t kPiece = 256 * 1024;
} // namespace

UniqueFd temporary_file() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::tmpfile(), &std::fclose};
    if (!file) throw_errno("make a temporary file");
    UniqueFd fd{::fcntl(::fileno(file.get()), F_DUPFD_CLOEXEC, 3)};
    if (!fd) throw_errno("dup");
    return fd;
}

UniqueFd open_for_reading(const std::string& path) {
    UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (!fd) throw_errno("open " + path);
    return fd;
}

void write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const auto done = ::write(fd, data, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) throw_errno("write");
        data += done;
        size -= static_cast<std::size_t>(done);
    }
}

void send_file(HttpUpload& upload, int fd, bool rewind) {
    if (rewind && ::lseek(fd, 0, SEEK_SET) < 0) throw_errno("seek");
    std::string piece(kPiece, '\0');
    while (true) {
        const auto size = ::read(fd, piece.data(), piece.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw_errno("read");
        if (size == 0) return;
        upload.write(piece.data(), static_cast<std::size_t>(size));
    }
}

void receive_file(HttpDownload& download, int fd) {
    std::string piece(kPiece, '\0');
    while (const auto size = download.read(piece.data(), piece.size()))
        write_all(fd, piece.data(), size);
}

} // namespace lxdcore::client
