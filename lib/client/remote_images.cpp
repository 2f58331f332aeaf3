// SPDX-License-Identifier: Apache-2.0
#include "client/remote_images.hpp"

#include "client/image_transfer.hpp"
#include "client/local_files.hpp"

namespace lxdcore::client {

namespace {

const std::string kImages = "/1.0/images", kAliases = "/1.0/images/aliases";

Url at(const std::string& project, const std::string& fingerprint, const std::string& below = {}) {
    auto path = (Url{kImages} / fingerprint).str();
    if (!below.empty()) path += "/" + below;
    return Url{path}.project(project);
}

Url alias_at(const std::string& project, const std::string& name) { return (Url{kAliases} / name).project(project); }

/// What of an upload tells whether it is split comes late, so it is kept until the end.
class SpooledUpload final : public ImageSink {
public:
    explicit SpooledUpload(std::shared_ptr<Rest> rest) : rest_{std::move(rest)}, metadata_{temporary_file()} {}
    void write_metadata(const char* data, std::size_t size) override { write_all(metadata_.get(), data, size); }
    void write_rootfs(const char* data, std::size_t size) override {
        if (!rootfs_) rootfs_ = temporary_file();
        write_all(rootfs_.get(), data, size);
    }
    OperationPtr finish(const ImageUpload& upload) override {
        return send_image(*rest_, upload, metadata_.get(), rootfs_.get());
    }

private:
    std::shared_ptr<Rest> rest_;
    UniqueFd metadata_, rootfs_;
};

} // namespace

std::vector<api::Image> RemoteImages::list(const std::string& project, bool public_only) const {
    auto images = rest_->get_as<std::vector<api::Image>>(Url{kImages}.query("recursion", "1").project(project));
    if (public_only) std::erase_if(images, [](const api::Image& image) { return !image.is_public; });
    return images;
}

std::vector<std::string> RemoteImages::fingerprints(const std::string& project, bool public_only) const {
    if (!public_only) return rest_->names(Url{kImages}.project(project));
    std::vector<std::string> fingerprints;
    for (const auto& image : list(project, true))
        fingerprints.push_back(image.fingerprint);
    return fingerprints;
}

api::Image RemoteImages::get(const std::string& project, const std::string& fingerprint, bool public_only) const {
    auto image = rest_->get_as<api::Image>(at(project, fingerprint));
    if (public_only && !image.is_public) throw Error{ErrorCode::NotFound, "Image not found"};
    return image;
}

std::unique_ptr<ImageSink> RemoteImages::upload() { return std::make_unique<SpooledUpload>(rest_); }

OperationPtr RemoteImages::import_files(const ImageUpload& upload, const std::string& metadata_path,
                                        const std::string& rootfs_path) {
    const auto metadata = open_for_reading(metadata_path);
    const auto rootfs = rootfs_path.empty() ? UniqueFd{} : open_for_reading(rootfs_path);
    auto named = upload;
    if (named.filename.empty()) named.filename = metadata_path.substr(metadata_path.rfind('/') + 1);
    return send_image(*rest_, named, metadata.get(), rootfs.get());
}

void RemoteImages::update(const std::string& project, const std::string& fingerprint, const api::ImagePut& image,
                          const std::string& if_match) {
    rest_->call("PUT", at(project, fingerprint), image, if_match);
}

void RemoteImages::patch(const std::string& project, const std::string& fingerprint, const api::ImagePatch& image,
                         const std::string& if_match) {
    rest_->call("PATCH", at(project, fingerprint), image, if_match);
}

OperationPtr RemoteImages::remove(const std::string& project, const std::string& fingerprint) {
    return rest_->start("DELETE", at(project, fingerprint));
}

std::vector<ImageService::ExportFile> RemoteImages::open_export(const std::string& project,
                                                                const std::string& fingerprint, bool public_only) {
    if (public_only) get(project, fingerprint, true);
    return receive_image(*rest_, at(project, fingerprint, "export"));
}

OperationPtr RemoteImages::create_secret(const std::string& project, const std::string& fingerprint) {
    return rest_->start("POST", at(project, fingerprint, "secret"));
}

OperationPtr RemoteImages::refresh(const std::string& project, const std::string& fingerprint) {
    return rest_->start("POST", at(project, fingerprint, "refresh"));
}

std::vector<api::ImageAlias> RemoteImages::aliases(const std::string& project) const {
    return rest_->get_as<std::vector<api::ImageAlias>>(Url{kAliases}.query("recursion", "1").project(project));
}

api::ImageAlias RemoteImages::alias(const std::string& project, const std::string& name, bool public_only) const {
    auto alias = rest_->get_as<api::ImageAlias>(alias_at(project, name));
    if (public_only) get(project, alias.target, true);
    return alias;
}

void RemoteImages::create_alias(const std::string& project, const api::ImageAlias& alias) {
    rest_->call("POST", Url{kAliases}.project(project), alias);
}

void RemoteImages::update_alias(const std::string& project, const std::string& name, const api::ImageAliasPatch& alias,
                                const std::string& if_match) {
    rest_->call("PATCH", alias_at(project, name), alias, if_match);
}

void RemoteImages::rename_alias(const std::string& project, const std::string& name, const std::string& new_name) {
    rest_->call("POST", alias_at(project, name), {{"name", new_name}});
}

void RemoteImages::remove_alias(const std::string& project, const std::string& name) {
    rest_->call("DELETE", alias_at(project, name));
}

} // namespace lxdcore::client
