// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace lxdcore::helper {

/// Decompresses .xz on all cores where the file was written in blocks (`xz -T0`), which libarchive cannot. Loads
/// liblzma, so it is made before the process is caged; without one that knows threads it reads nothing.
class XzDecoder {
public:
    XzDecoder();
    ~XzDecoder();
    bool reads(int archive) const; ///< by its first bytes
    /// @p write gets the plain bytes of @p archive in their order. Gives what is wrong with it, "" if nothing is.
    std::string run(int archive, const std::function<void(const char*, std::size_t)>& write) const;

private:
    struct Api;
    std::unique_ptr<const Api> api_;
};

} // namespace lxdcore::helper
