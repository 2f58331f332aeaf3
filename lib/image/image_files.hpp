// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "util/dir.hpp"
#include "util/hash.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::image {

/// The files of one upload in images/: hashed and stored in one pass, removed unless kept. Thread-bound.
class UploadFiles {
public:
    explicit UploadFiles(std::shared_ptr<const Dir> images);
    UploadFiles(const UploadFiles&) = delete;
    UploadFiles& operator=(const UploadFiles&) = delete;
    ~UploadFiles();
    void write_metadata(const char* data, std::size_t size);
    void write_rootfs(const char* data, std::size_t size); ///< @throws InvalidArgument before any metadata
    std::string finish_hash();                             ///< SHA-256 of metadata and rootfs, one after the other
    std::int64_t size() const noexcept { return size_; }
    int metadata_fd() const noexcept { return metadata_.get(); }
    std::optional<int> rootfs_fd() const;
    /// On disk under the names that LXD gives, for good.
    void keep(const std::string& fingerprint);

private:
    void write(const UniqueFd& file, const char* data, std::size_t size);
    std::shared_ptr<const Dir> images_;
    std::string name_;
    UniqueFd metadata_, rootfs_;
    Sha256 hash_;
    std::int64_t size_ = 0, until_check_ = 0;
};

} // namespace lxdcore::image
