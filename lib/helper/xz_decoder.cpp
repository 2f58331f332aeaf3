// SPDX-License-Identifier: Apache-2.0
#include "helper/xz_decoder.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <lxdcore/error.hpp>

#include "helper/library.hpp"

#ifdef LXDCORE_LZMA
#include <lzma.h>
#endif

namespace lxdcore::helper {

#ifdef LXDCORE_LZMA

namespace {

constexpr std::size_t kBlock = 256 * 1024;
constexpr std::uint64_t kThreadsMemory = 512ull << 20; ///< above it fewer threads; the cage limits the rest
constexpr long kMostThreads = 4;

const char* reason_of(lzma_ret result) {
    switch (result) {
    case LZMA_FORMAT_ERROR:
        return "Unrecognized archive format";
    case LZMA_BUF_ERROR:
        return "truncated xz data";
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
        return "the xz data needs too much memory";
    case LZMA_OPTIONS_ERROR:
        return "the xz data has unknown options";
    default:
        return "corrupt xz data";
    }
}

} // namespace

struct XzDecoder::Api : Library {
    Api() : Library{"liblzma.so.5"} {}
    LXDCORE_SYMBOL(lzma_stream_decoder_mt);
    LXDCORE_SYMBOL(lzma_code);
};

XzDecoder::XzDecoder() {
    try {
        api_ = std::make_unique<Api>();
    } catch (const Error&) { // an older one: libarchive does it, on one core
    }
}

bool XzDecoder::reads(int archive) const {
    using namespace std::string_view_literals;
    char magic[6];
    return api_ && ::pread(archive, magic, sizeof magic, 0) == sizeof magic &&
           std::string_view{magic, sizeof magic} == "\xfd\x37zXZ\0"sv;
}

std::string XzDecoder::run(int archive, const std::function<void(const char*, std::size_t)>& write) const {
    lzma_stream stream = LZMA_STREAM_INIT; // never ended: the process ends with it
    lzma_mt options{};
    options.flags = LZMA_CONCATENATED;
    options.threads = static_cast<std::uint32_t>(std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 1L, kMostThreads));
    options.memlimit_threading = kThreadsMemory;
    options.memlimit_stop = UINT64_MAX;
    auto result = api_->lzma_stream_decoder_mt(&stream, &options);
    std::vector<std::uint8_t> in(kBlock), out(kBlock);
    for (auto action = LZMA_RUN; result == LZMA_OK;) {
        if (stream.avail_in == 0 && action == LZMA_RUN) {
            const auto n = ::read(archive, in.data(), in.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return std::string{"read: "} + std::strerror(errno);
            if (n == 0) action = LZMA_FINISH;
            stream.next_in = in.data();
            stream.avail_in = static_cast<std::size_t>(n);
        }
        stream.next_out = out.data();
        stream.avail_out = out.size();
        result = api_->lzma_code(&stream, action);
        write(reinterpret_cast<const char*>(out.data()), out.size() - stream.avail_out);
    }
    return result == LZMA_STREAM_END ? "" : reason_of(result);
}

#else

struct XzDecoder::Api {};
XzDecoder::XzDecoder() = default;
bool XzDecoder::reads(int) const { return false; }
std::string XzDecoder::run(int, const std::function<void(const char*, std::size_t)>&) const { return {}; }

#endif

XzDecoder::~XzDecoder() = default;

} // namespace lxdcore::helper
