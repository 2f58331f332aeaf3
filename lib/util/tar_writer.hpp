// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace lxdcore {

/// What a tar archive says about one name.
struct TarEntry {
    enum class Type : char {
        File = '0',
        Hardlink = '1',
        Symlink = '2',
        CharDevice = '3',
        BlockDevice = '4',
        Directory = '5',
        Fifo = '6'
    };
    struct Extent {
        std::int64_t offset, size;
    };
    Type type = Type::File;
    std::string name;        ///< bytes, relative
    std::string target = {}; ///< Hardlink: a name of the archive; Symlink: as it is
    std::int64_t uid = 0, gid = 0;
    mode_t mode = 0;       ///< permission bits
    std::int64_t size = 0; ///< File: bytes
    timespec mtime{};
    unsigned major = 0, minor = 0;
    std::vector<std::pair<std::string, std::string>> xattrs = {};
    /// File with holes: where it has data, in order and in whole blocks of 512 bytes but for its end; only that is
    /// then given to data(). Empty: all of it.
    std::vector<Extent> extents = {};
};

/// Writes POSIX tar with pax headers where the plain ones cannot say it: long names, large numbers, fractions of
/// seconds, extended attributes (SCHILY.xattr), holes (GNU.sparse 1.0). Thread-bound.
class TarWriter {
public:
    using Sink = std::function<void(const char* data, std::size_t size)>;
    explicit TarWriter(Sink sink) : sink_{std::move(sink)} {}
    /// Begins an entry. A File with a size is followed by exactly its bytes.
    void entry(const TarEntry& entry);
    void data(const char* bytes, std::size_t size); ///< @throws Error Internal for more than the entry has
    void finish();                                  ///< the end of the archive

private:
    void header(const TarEntry& entry, char type, std::string_view name, std::int64_t size);
    void pad(std::int64_t size);
    Sink sink_;
    std::int64_t left_ = 0, padding_ = 0;
};

} // namespace lxdcore
