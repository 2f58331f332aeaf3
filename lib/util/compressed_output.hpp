// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "util/dir.hpp"

namespace lxdcore {

/// How a stream is compressed: "none", "gzip", "bzip2", "lzma", "xz" or "zstd", and a level. "squashfs" makes a
/// filesystem of a tar stream.
struct Compression {
    std::string name = "gzip";
    int level = 0; ///< 1 to 9; 0: what is usual

    /// "xz -3". The text has been checked: config::check::compression. "" is gzip. @throws InvalidArgument
    static Compression parse(std::string_view text);
    bool available() const; ///< false when it needs a program that is not there
};

/// A file that is written compressed, on all processors where the format allows it; with bounded memory. Thread-bound.
class CompressedOutput {
public:
    virtual ~CompressedOutput();
    virtual void write(const char* data, std::size_t size) = 0;
    /// Everything is in the file when it returns (though not synced).
    virtual void finish() = 0;
    virtual std::int64_t written() const = 0; ///< bytes of the file so far
};

/// Writes to @p fd, which is borrowed, from where it stands. A squashfs is made as a nameless file in @p scratch first,
/// as its beginning is written last. @throws InvalidArgument without one
std::unique_ptr<CompressedOutput> compressed_output(int fd, const Compression& compression, std::stop_token stop,
                                                    const Dir* scratch = nullptr);

} // namespace lxdcore
