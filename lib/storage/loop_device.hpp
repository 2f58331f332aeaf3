// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "util/unique_fd.hpp"

namespace lxdcore::storage {

/// A block device whose content is a file. The kernel detaches it with its last user: while this lives, or something
/// is mounted from it. Move-only, thread-bound. All throw Error.
class LoopDevice {
public:
    /// The one that @p file is attached to already: by an earlier process, whose mount may still be there.
    static std::optional<LoopDevice> find(const UniqueFd& file);
    /// That one, or a new one.
    static LoopDevice attach(const UniqueFd& file);

    const std::string& path() const noexcept { return path_; } ///< /dev/loop3
    void grow();                                               ///< takes over the size that the file has now

private:
    LoopDevice(UniqueFd fd, std::string path) : fd_{std::move(fd)}, path_{std::move(path)} {}
    UniqueFd fd_;
    std::string path_;
};

} // namespace lxdcore::storage
