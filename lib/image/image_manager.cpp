// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/statvfs.h>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "image/architecture.hpp"
#include "image/manager_impl.hpp"
#include "operation/operation_types.hpp"
#include "storage/server_folders.hpp"
#include "util/names.hpp"

namespace lxdcore {

ImageService::~ImageService() = default;
ImageSink::~ImageSink() = default;

std::string ImageService::etag(const api::Image& image) {
    return api::etag_of(nlohmann::json::array({image.is_public, image.auto_update, image.properties}));
}

namespace image {

namespace {

api::Image shown(db::ImageRow row) {
    row.image.architecture = architecture_name(row.architecture);
    return std::move(row.image);
}

} // namespace

std::unique_ptr<ImageManager> make_image_manager(db::Database& local, db::Database& global,
                                                 storage::StorageManager& storage, OperationService& operations,
                                                 EventService& events, const HelperProgram& helper, const Logger& log,
                                                 PoolOfProfiles first_pool) {
    return std::make_unique<ImageManagerImpl>(local, global, storage, operations, events, helper, log,
                                              std::move(first_pool));
}

ImageManagerImpl::ImageManagerImpl(db::Database& local, db::Database& global, storage::StorageManager& storage,
                                   OperationService& operations, EventService& events, const HelperProgram& helper,
                                   const Logger& log, PoolOfProfiles first_pool)
    : global_{global}, images_{storage::PoolAccess::of(storage).server_folders().images()}, storage_{storage},
      operations_{operations}, events_{events}, log_{log}, cage_{helper},
      first_pool_{std::move(first_pool)}, intents_{local} {}

/// Files of an import or a removal that was interrupted go unless a row holds them.
void ImageManagerImpl::start() {
    try {
        const auto images = images_.use();
        struct statvfs fs {};
        if (::fstatvfs(images->fd(), &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0)
            return log_.warning("Images are on a read-only filesystem", {{"path", images->path()}});
        for (const auto& name : images->list())
            if (name.starts_with(".upload-")) images->remove(name);
    } catch (const Error& error) { // the volume that they are on is away
        log_.warning("Images are not available", {{"err", error.what()}});
        return;
    }
    for (const char* kind : {"image-import", "image-delete"}) {
        for (const auto& intent : intents_.pending(kind)) {
            const bool kept =
                global_.read_value([&](db::Transaction& tx) { return repository_.in_any_project(tx, intent.entity); });
            if (!kept) remove_files(intent.entity);
            intents_.end(intent.id);
        }
    }
}

void ImageManagerImpl::remove_files(const std::string& fingerprint) {
    preparer_.cancel(fingerprint);
    storage_.remove_image(fingerprint);
    const auto images = images_.use();
    images->remove(fingerprint);
    images->remove(fingerprint + ".rootfs");
}

std::string ImageManagerImpl::url(const std::string& project, const std::string& path) const {
    return "/1.0/images/" + path + (project == "default" ? "" : "?project=" + project);
}

db::ImageRow ImageManagerImpl::need(db::Transaction& tx, const std::string& project, const std::string& fingerprint,
                                    bool public_only) const {
    names::check_fingerprint_prefix(fingerprint);
    auto found = repository_.find(tx, project, fingerprint, public_only);
    if (found.empty()) throw Error{ErrorCode::NotFound, "Image not found"};
    if (found.size() > 1) throw Error{ErrorCode::Internal, "More than one image matches"};
    return std::move(found.front());
}

db::ImageRow ImageManagerImpl::need(const std::string& project, const std::string& fingerprint,
                                    bool public_only) const {
    return global_.read_value([&](db::Transaction& tx) { return need(tx, project, fingerprint, public_only); });
}

api::Image ImageManagerImpl::get(const std::string& project, const std::string& fingerprint, bool public_only) const {
    return shown(need(project, fingerprint, public_only));
}

std::vector<api::Image> ImageManagerImpl::list(const std::string& project, bool public_only) const {
    auto rows = global_.read_value([&](db::Transaction& tx) { return repository_.list(tx, project, public_only); });
    std::vector<api::Image> result;
    for (auto& row : rows)
        result.push_back(shown(std::move(row)));
    return result;
}

std::vector<std::string> ImageManagerImpl::fingerprints(const std::string& project, bool public_only) const {
    std::vector<std::string> result;
    for (const auto& image : list(project, public_only))
        result.push_back(image.fingerprint);
    return result;
}

api::Image ImageManagerImpl::resolve(const std::string& project, const std::string& fingerprint,
                                     const std::string& alias_name) const {
    if (!alias_name.empty()) return get(project, alias(project, alias_name, false).target, false);
    return get(project, fingerprint, false);
}

void ImageManagerImpl::touch(const std::string& project, const std::string& fingerprint) {
    global_.write_relaxed(
        [&](db::Transaction& tx) { repository_.touch(tx, need(tx, project, fingerprint).id, api::Time::now()); });
}

void ImageManagerImpl::update(const std::string& project, const std::string& fingerprint, const api::ImagePut& image,
                              const std::string& if_match) {
    store(project, need(project, fingerprint), image, if_match);
}

void ImageManagerImpl::patch(const std::string& project, const std::string& fingerprint, const api::ImagePatch& patch,
                             const std::string& if_match) {
    const auto row = need(project, fingerprint);
    api::ImagePut image = row.image;
    image.auto_update = patch.auto_update.value_or(image.auto_update);
    image.is_public = patch.is_public.value_or(image.is_public);
    image.expires_at = patch.expires_at.value_or(image.expires_at);
    image.profiles = patch.profiles.value_or(image.profiles);
    for (const auto& [key, value] : patch.properties.value_or(api::StringMap{}))
        image.properties[key] = value;
    store(project, row, image, if_match);
}

void ImageManagerImpl::store(const std::string& project, const db::ImageRow& row, const api::ImagePut& image,
                             const std::string& if_match) {
    api::check_etag(ImageService::etag(row.image), if_match);
    global_.write([&](db::Transaction& tx) { repository_.update(tx, project, row.id, image); });
    events_.lifecycle(project, "image-updated", url(project, row.image.fingerprint));
}

OperationPtr ImageManagerImpl::remove(const std::string& project, const std::string& prefix) {
    const auto fingerprint = need(project, prefix).image.fingerprint;
    OperationOptions options{.type = kImageDelete, .project = project, .resources = {}};
    options.resources["images"] = {"/1.0/images/" + fingerprint};
    return operations_.start(std::move(options), [this, project, fingerprint](OperationContext&) {
        const auto guard = locks_.lock("images/" + fingerprint);
        const auto intent = intents_.begin("image-delete", project, fingerprint);
        const bool kept = global_.write_value([&](db::Transaction& tx) {
            repository_.remove(tx, need(tx, project, fingerprint).id);
            return repository_.in_any_project(tx, fingerprint);
        });
        if (!kept) remove_files(fingerprint);
        intents_.end(intent);
        events_.lifecycle(project, "image-deleted", url(project, fingerprint));
    });
}

} // namespace image
} // namespace lxdcore
