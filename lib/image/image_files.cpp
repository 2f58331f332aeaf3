// SPDX-License-Identifier: Apache-2.0
#include "image/image_files.hpp"

#include <cerrno>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "image/cage.hpp"
#include "util/text.hpp"

namespace lxdcore::image {

namespace {
constexpr std::int64_t kCheckEvery = 16 << 20; ///< bytes between two looks at the free space
constexpr int kNew = O_RDWR | O_CREAT | O_EXCL;
} // namespace

UploadFiles::UploadFiles(std::shared_ptr<const Dir> images)
    : images_{std::move(images)}, name_{".upload-" + text::random_hex(16)}, metadata_{images_->open_file(name_, kNew,
                                                                                                         0600)} {}

UploadFiles::~UploadFiles() {
    try {
        images_->remove(name_);
        images_->remove(name_ + ".rootfs");
    } catch (const std::exception&) { // the next start removes them
    }
}

void UploadFiles::write_metadata(const char* data, std::size_t size) {
    if (rootfs_) throw Error{ErrorCode::InvalidArgument, "Invalid multipart image"};
    write(metadata_, data, size);
}

void UploadFiles::write_rootfs(const char* data, std::size_t size) {
    if (size_ == 0) throw Error{ErrorCode::InvalidArgument, "Invalid multipart image"};
    if (!rootfs_) rootfs_ = images_->open_file(name_ + ".rootfs", kNew, 0600);
    write(rootfs_, data, size);
}

void UploadFiles::write(const UniqueFd& file, const char* data, std::size_t size) {
    if (until_check_ <= 0) {
        if (free_space(*images_) <= 0) throw Error{ErrorCode::NoSpace, "No space left for the image"};
        until_check_ = kCheckEvery;
    }
    hash_.update(data, size);
    for (std::size_t done = 0; done < size;) {
        const auto n = ::write(file.get(), data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("write image");
        done += static_cast<std::size_t>(n);
    }
    size_ += static_cast<std::int64_t>(size);
    until_check_ -= static_cast<std::int64_t>(size);
}

std::string UploadFiles::finish_hash() { return hash_.hex(); }

std::optional<int> UploadFiles::rootfs_fd() const {
    if (!rootfs_) return std::nullopt;
    return rootfs_.get();
}

void UploadFiles::keep(const std::string& fingerprint) {
    if (::fsync(metadata_.get()) != 0 || (rootfs_ && ::fsync(rootfs_.get()) != 0)) throw_errno("write image");
    // Content and name agree, so a file that is there already is the same.
    if (rootfs_) images_->replace(name_ + ".rootfs", fingerprint + ".rootfs");
    images_->replace(name_, fingerprint);
    images_->sync();
}

} // namespace lxdcore::image
