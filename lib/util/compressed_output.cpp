// SPDX-License-Identifier: Apache-2.0
#include "util/compressed_output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/parallel_gzip.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

using namespace std::chrono_literals;

class Plain final : public CompressedOutput {
public:
    explicit Plain(int fd) : fd_{fd} {}
    void write(const char* data, std::size_t size) override {
        write_fully(fd_, data, size);
        written_ += static_cast<std::int64_t>(size);
    }
    void finish() override {}
    std::int64_t written() const override { return written_; }

private:
    int fd_;
    std::int64_t written_ = 0;
};

std::vector<std::string> command_of(const Compression& compression) {
    std::vector<std::string> argv{compression.name};
    if (compression.name == "xz" || compression.name == "zstd") argv.emplace_back("-T0");
    if (compression.name == "gzip") argv.emplace_back("-n");
    if (compression.name == "zstd") argv.emplace_back("-q");
    if (compression.level > 0) argv.push_back(fmt::format("-{}", compression.level));
    return argv;
}

constexpr std::size_t kMostComplaints = 4096;

/// A file that does not grow, whatever is written.
UniqueFd bounded_memory() {
    UniqueFd fd{::memfd_create("complaints", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    if (!fd || ::ftruncate(fd.get(), kMostComplaints) != 0 || ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW) != 0)
        throw_errno("memfd_create");
    return fd;
}

/// A compressor between us and the file.
class Program final : public CompressedOutput {
public:
    Program(int fd, const std::vector<std::string>& argv, std::stop_token stop, int as = 1)
        : fd_{fd}, start_{::lseek(fd, 0, SEEK_CUR)}, name_{argv.front()}, stop_{std::move(stop)} {
        // A stream socket: unlike a pipe it can be written without a SIGPIPE when the child does not read.
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
        input_ = UniqueFd{ends[0]};
        const UniqueFd theirs{ends[1]};
        if (::fcntl(input_.get(), F_SETFL, O_NONBLOCK) != 0) throw_errno("socketpair");
        SpawnOptions options;
        options.argv = argv;
        options.fds = {{theirs.get(), 0}, {fd, as}, {complaints_.get(), 2}};
        process_ = spawn(options);
    }
    void write(const char* data, std::size_t size) override {
        while (size > 0) {
            const auto n = ::send(input_.get(), data, size, MSG_NOSIGNAL);
            if (n > 0) {
                data += n;
                size -= static_cast<std::size_t>(n);
                continue;
            }
            if (n < 0 && errno != EAGAIN && errno != EINTR) failed();
            check_stop();
            pollfd ready{input_.get(), POLLOUT, 0};
            ::poll(&ready, 1, 200);
        }
    }
    void finish() override {
        input_.reset();
        for (;;) {
            check_stop();
            if (const auto code = process_.wait_for(200ms)) {
                if (*code != 0) failed();
                return;
            }
        }
    }
    std::int64_t written() const override {
        struct stat status {};
        return ::fstat(fd_, &status) == 0 ? status.st_size - start_ : 0;
    }

private:
    void check_stop() const {
        if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    }
    [[noreturn]] void failed() const {
        std::array<char, kMostComplaints> text{};
        const auto n = ::pread(complaints_.get(), text.data(), text.size(), 0);
        if (std::string_view{text.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))}.find(
                "No space left on device") != std::string_view::npos)
            throw Error{ErrorCode::NoSpace, "Compressing failed: No space left on device"};
        throw Error{ErrorCode::Internal, fmt::format("Compressing failed: {} ended early", name_)};
    }
    int fd_;
    off_t start_;
    std::string name_;
    std::stop_token stop_;
    UniqueFd complaints_ = bounded_memory(); ///< its standard error
    UniqueFd input_;
    Process process_;
};

/// Reads a tar stream; its own descriptor is the file's name.
constexpr const char* kSquasher = "sqfstar";

class Squashed final : public CompressedOutput {
public:
    Squashed(int fd, const Dir& scratch, std::stop_token stop)
        : fd_{fd}, stop_{stop}, file_{scratch.open_file(".", O_TMPFILE | O_RDWR, 0600)},
          program_{file_.get(),
                   {kSquasher, "-quiet", "-no-progress", "-force", "-exit-on-error", "-mem", "256M", "/proc/self/fd/3"},
                   std::move(stop),
                   3} {}
    void write(const char* data, std::size_t size) override { program_.write(data, size); }
    void finish() override {
        program_.finish();
        std::vector<char> block(1 << 20);
        for (off_t at = 0;;) {
            if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
            const auto n = ::pread(file_.get(), block.data(), block.size(), at);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("read squashfs");
            if (n == 0) return;
            write_fully(fd_, block.data(), static_cast<std::size_t>(n));
            at += n;
        }
    }
    std::int64_t written() const override { return program_.written(); }

private:
    int fd_;
    std::stop_token stop_;
    UniqueFd file_;
    Program program_;
};

} // namespace

CompressedOutput::~CompressedOutput() = default;

Compression Compression::parse(std::string_view text) {
    Compression result;
    const auto parts = text::split(text, ' ');
    if (parts.empty() || parts[0].empty()) return result;
    result.name = parts[0];
    bool known = false;
    for (const auto* name : {"none", "gzip", "bzip2", "lzma", "xz", "zstd", "squashfs"})
        known = known || result.name == name;
    const bool level =
        parts.size() == 2 && parts[1].size() == 2 && parts[1][0] == '-' && parts[1][1] >= '1' && parts[1][1] <= '9';
    if (level) result.level = parts[1][1] - '0';
    if (!known || (parts.size() > 1 && (!level || result.name == "squashfs")))
        throw Error{ErrorCode::InvalidArgument, "Invalid compression algorithm " + text::quote(text)};
    return result;
}

bool Compression::available() const {
    if (name == "none" || name == "gzip") return true;
    const char* path = ::getenv("PATH");
    for (const auto& folder : text::split(path != nullptr ? path : "/usr/bin:/bin", ':'))
        if (::access(fmt::format("{}/{}", folder, name == "squashfs" ? std::string{kSquasher} : name).c_str(), X_OK) ==
            0)
            return true;
    return false;
}

std::unique_ptr<CompressedOutput> compressed_output(int fd, const Compression& compression, std::stop_token stop,
                                                    const Dir* scratch) {
    if (compression.name == "none") return std::make_unique<Plain>(fd);
    if (compression.name == "gzip")
        if (auto parallel = parallel_gzip(fd, compression.level, stop)) return parallel;
    if (compression.name == "squashfs") {
        if (scratch == nullptr) throw Error{ErrorCode::InvalidArgument, "Invalid compression algorithm \"squashfs\""};
        return std::make_unique<Squashed>(fd, *scratch, std::move(stop));
    }
    return std::make_unique<Program>(fd, command_of(compression), std::move(stop));
}

} // namespace lxdcore
