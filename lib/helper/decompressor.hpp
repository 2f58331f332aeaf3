// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <sys/types.h>

#include "helper/libarchive.hpp"
#include "helper/xz_decoder.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::helper {

/// Decompresses in a process of its own, so that one core decompresses while the other makes files. A child of the
/// caged process: same namespaces, same limits, ends with it.
class Decompressor {
public:
    /// @p archive is read from where it stands.
    Decompressor(const Libarchive& api, const XzDecoder& xz, int archive);
    ~Decompressor();
    Decompressor(const Decompressor&) = delete;
    Decompressor& operator=(const Decompressor&) = delete;

    int fd() const { return bytes_.get(); } ///< the plain bytes
    /// Reads what the reader left, at most @p most bytes, and checks that all was well.
    /// @throws Error InvalidArgument for a damaged archive, TooLarge
    void finish(std::int64_t most);
    /// After the reader has failed: throws if damaged data is the reason.
    void check();

private:
    [[noreturn]] static void run(const Libarchive& api, const XzDecoder& xz, int archive, int out, int complaints);
    UniqueFd bytes_, complaints_;
    pid_t child_ = -1;
};

} // namespace lxdcore::helper
