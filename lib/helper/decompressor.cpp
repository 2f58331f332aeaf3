// SPDX-License-Identifier: Apache-2.0
#include "helper/decompressor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

namespace {

constexpr int kPipeSize = 1 << 20;

std::pair<UniqueFd, UniqueFd> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("unpack: pipe");
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

bool write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const auto n = ::write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        data += n;
        size -= static_cast<std::size_t>(n);
    }
    return true;
}

/// The reader has gone, and with it whoever could be told.
[[noreturn]] void gone() { ::_exit(2); }

/// What is wrong with the archive, "" when all of it was written.
std::string decompress(const Libarchive& api, int archive_fd, int out) {
    archive* handle = api.archive_read_new();
    // The filters that libarchive has built in; others would start programs.
    api.archive_read_support_filter_gzip(handle);
    api.archive_read_support_filter_bzip2(handle);
    api.archive_read_support_filter_xz(handle);
    api.archive_read_support_filter_lzma(handle);
    api.archive_read_support_filter_zstd(handle);
    api.archive_read_support_format_raw(handle);
    archive_entry* entry = nullptr;
    int result = api.archive_read_open_fd(handle, archive_fd, 256 * 1024);
    if (result == ARCHIVE_OK) result = api.archive_read_next_header(handle, &entry);
    while (result >= ARCHIVE_WARN && result != ARCHIVE_EOF) {
        const void* data = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        result = api.archive_read_data_block(handle, &data, &size, &offset);
        if (size > 0 && !write_all(out, static_cast<const char*>(data), size)) gone();
    }
    if (result == ARCHIVE_EOF) return {};
    const char* reason = api.archive_error_string(handle);
    return reason ? reason : "unreadable archive";
}

} // namespace

Decompressor::Decompressor(const Libarchive& api, const XzDecoder& xz, int archive) {
    auto [bytes, out] = make_pipe();
    auto [text, complaints] = make_pipe();
    ::fcntl(out.get(), F_SETPIPE_SZ, kPipeSize); // fewer switches; the usual size works too
    child_ = ::fork();
    if (child_ < 0) throw_errno("unpack: fork");
    if (child_ == 0) {
        bytes.reset(); // else it would not notice that the reader has gone
        run(api, xz, archive, out.get(), complaints.get());
    }
    bytes_ = std::move(bytes);
    complaints_ = std::move(text);
}

Decompressor::~Decompressor() {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void Decompressor::run(const Libarchive& api, const XzDecoder& xz, int archive, int out, int complaints) {
    ::signal(SIGPIPE, SIG_DFL);
    const auto write = [out](const char* data, std::size_t size) {
        if (!write_all(out, data, size)) gone();
    };
    const auto reason = xz.reads(archive) ? xz.run(archive, write) : decompress(api, archive, out);
    write_all(complaints, reason.data(), reason.size());
    ::_exit(reason.empty() ? 0 : 1);
}

void Decompressor::finish(std::int64_t most) {
    std::array<char, 65536> block;
    for (ssize_t n = 0; (n = ::read(bytes_.get(), block.data(), block.size())) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("unpack");
        most -= n;
        if (most < 0) throw Error{ErrorCode::TooLarge, "The unpacked image is too large"};
    }
    check();
}

void Decompressor::check() {
    if (child_ < 0) return;
    bytes_.reset(); // whatever it still writes ends it with SIGPIPE
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    if (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)) return;
    std::array<char, 512> text;
    ssize_t size =
        WIFEXITED(status) && WEXITSTATUS(status) == 1 ? ::read(complaints_.get(), text.data(), text.size()) : 0;
    throw Error{ErrorCode::InvalidArgument,
                "Damaged image: " + (size > 0 ? std::string{text.data(), static_cast<std::size_t>(size)}
                                              : std::string{"the decompression ended before its time"})};
}

} // namespace lxdcore::helper
