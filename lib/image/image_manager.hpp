// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/image_service.hpp>

#include "db/database.hpp"
#include "storage/storage_manager.hpp"
#include "util/dir.hpp"
#include "util/helper_program.hpp"

namespace lxdcore::image {

/// What instances need of images, beside the public service. Thread-safe.
class ImageManager : public ImageService {
public:
    /// Removes what interrupted uploads left.
    virtual void start() = 0;
    /// The image that @p fingerprint (a prefix) or @p alias names. @throws Error NotFound with LXD's texts
    virtual api::Image resolve(const std::string& project, const std::string& fingerprint,
                               const std::string& alias) const = 0;
    /// Unpacks the image in the caged child, for StorageManager::ensure_image.
    virtual storage::VolumeFiller filler(const std::string& fingerprint) = 0;
    /// An image that is made here: @p write gives its bytes to what it is called with. Within the caller's operation,
    /// whose metadata ends with {"fingerprint","size"}.
    using ImageWriter = std::function<void(const std::function<void(const char* data, std::size_t size)>& store)>;
    virtual void import_stream(const ImageUpload& upload, const ImageWriter& write, OperationContext& op) = 0;
    virtual void touch(const std::string& project, const std::string& fingerprint) = 0; ///< last_used_at
};

/// The pool of the root disk that instances with these profiles get, "" if there is none.
using PoolOfProfiles = std::function<std::string(const std::string& project, const std::vector<std::string>& profiles)>;

/// @p first_pool: where new images are unpacked before the first instance asks; empty: nowhere
std::unique_ptr<ImageManager> make_image_manager(db::Database& local, db::Database& global,
                                                 storage::StorageManager& storage, OperationService& operations,
                                                 EventService& events, const HelperProgram& helper, const Logger& log,
                                                 PoolOfProfiles first_pool = {});

} // namespace lxdcore::image
