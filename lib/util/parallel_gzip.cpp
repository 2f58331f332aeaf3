// SPDX-License-Identifier: Apache-2.0
#include "util/parallel_gzip.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if __has_include(<libdeflate.h>)
#define LXDCORE_DEFLATE
#include <libdeflate.h>
#endif
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore {

void write_fully(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const auto n = ::write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("write archive");
        data += n;
        size -= static_cast<std::size_t>(n);
    }
}

#ifdef LXDCORE_DEFLATE

namespace {

constexpr std::size_t kPiece = 1 << 20;
constexpr int kUsualLevel = 6;
constexpr unsigned kMostThreads = 16;

void append_le(std::string& out, std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i)
        out += static_cast<char>(number >> 8 * i);
}

/// A gzip member: header with the extra field "LX" (4 bytes: length of the whole member), deflate, checksum, size.
class Member {
public:
    explicit Member(int level) : compressor_{libdeflate_alloc_compressor(level), libdeflate_free_compressor} {
        if (!compressor_) throw std::bad_alloc{};
    }
    std::string make(const std::string& piece) {
        static constexpr char head[] = {'\x1f', '\x8b', 8, 4, 0, 0, 0, 0, 0, '\xff', 8, 0, 'L', 'X', 4, 0};
        std::string out(head, sizeof head);
        append_le(out, 0, 4);
        const auto start = out.size();
        out.resize(start + libdeflate_deflate_compress_bound(compressor_.get(), piece.size()));
        const auto size = libdeflate_deflate_compress(compressor_.get(), piece.data(), piece.size(), out.data() + start,
                                                      out.size() - start);
        if (size == 0) throw Error{ErrorCode::Internal, "gzip: the compressor failed"};
        out.resize(start + size);
        append_le(out, libdeflate_crc32(0, piece.data(), piece.size()), 4);
        append_le(out, piece.size(), 4);
        const auto length = static_cast<std::uint32_t>(out.size());
        for (std::size_t i = 0; i < 4; ++i)
            out[start - 4 + i] = static_cast<char>(length >> 8 * i);
        return out;
    }

private:
    std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor_;
};

class ParallelGzip final : public CompressedOutput {
public:
    ParallelGzip(int fd, int level, std::stop_token stop)
        : fd_{fd}, level_{level == 0 ? kUsualLevel : level}, stop_{std::move(stop)} {
        piece_.reserve(kPiece);
    }
    ~ParallelGzip() override {
        {
            const std::lock_guard lock{mutex_};
            ended_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_)
            thread.join();
    }

    void write(const char* data, std::size_t size) override {
        while (size > 0) {
            const auto n = std::min(size, kPiece - piece_.size());
            piece_.append(data, n);
            data += n;
            size -= n;
            if (piece_.size() == kPiece) give();
        }
    }
    void finish() override {
        if (!piece_.empty() || (written_ == 0 && jobs_.empty())) give();
        while (!jobs_.empty())
            take();
    }
    std::int64_t written() const override { return written_; }

private:
    struct Job {
        std::string piece, member;
        std::exception_ptr failure;
        bool taken = false, done = false;
    };

    void give() {
        const auto limit = std::clamp(std::thread::hardware_concurrency(), 1u, kMostThreads);
        while (jobs_.size() >= 2 * limit)
            take();
        {
            const std::lock_guard lock{mutex_};
            jobs_.push_back({.piece = std::exchange(piece_, {})});
        }
        piece_.reserve(kPiece);
        if (threads_.size() < limit) threads_.emplace_back([this] { work(); });
        wake_.notify_one();
    }

    /// The oldest piece into the file. Only the owner's thread adds and takes.
    void take() {
        if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
        std::string member;
        {
            std::unique_lock lock{mutex_};
            done_.wait(lock, [&] { return jobs_.front().done; });
            if (jobs_.front().failure) std::rethrow_exception(jobs_.front().failure);
            member = std::move(jobs_.front().member);
            jobs_.pop_front();
        }
        write_fully(fd_, member.data(), member.size());
        written_ += static_cast<std::int64_t>(member.size());
    }

    void work() {
        Member member{level_};
        std::unique_lock lock{mutex_};
        for (;;) {
            Job* job = nullptr;
            wake_.wait(lock, [&] {
                const auto it = std::find_if(jobs_.begin(), jobs_.end(), [](const Job& j) { return !j.taken; });
                job = it == jobs_.end() ? nullptr : &*it; // its address stays: a deque that changes at its ends only
                return ended_ || job != nullptr;
            });
            if (ended_) return;
            job->taken = true;
            lock.unlock();
            try {
                job->member = member.make(job->piece);
            } catch (...) {
                job->failure = std::current_exception();
            }
            lock.lock();
            job->done = true;
            done_.notify_one();
        }
    }

    int fd_, level_;
    std::stop_token stop_;
    std::string piece_;
    std::int64_t written_ = 0;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::deque<Job> jobs_;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

} // namespace

std::unique_ptr<CompressedOutput> parallel_gzip(int fd, int level, std::stop_token stop) {
    return std::make_unique<ParallelGzip>(fd, level, std::move(stop));
}

#else

std::unique_ptr<CompressedOutput> parallel_gzip(int, int, std::stop_token) { return nullptr; }

#endif

} // namespace lxdcore
