// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "image/image_metadata.hpp"
#include "image/manager_impl.hpp"
#include "operation/operation_types.hpp"
#include "operation/progress.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/rollback.hpp"

namespace lxdcore::image {

namespace {

/// Larger ones are not unpacked before somebody needs them.
constexpr std::int64_t kPrepareUpTo = 1ll << 30;

class Sink final : public ImageSink {
public:
    Sink(ImageManagerImpl& manager, std::shared_ptr<UploadFiles> files) : manager_{manager}, files_{std::move(files)} {}
    void write_metadata(const char* data, std::size_t size) override { files_->write_metadata(data, size); }
    void write_rootfs(const char* data, std::size_t size) override { files_->write_rootfs(data, size); }
    OperationPtr finish(const ImageUpload& upload) override {
        return manager_.start_import(upload, std::exchange(files_, nullptr));
    }

private:
    ImageManagerImpl& manager_;
    std::shared_ptr<UploadFiles> files_;
};

void check_upload(const ImageUpload& upload) {
    if (upload.filename.find('/') != std::string::npos || names::has_control(upload.filename) ||
        upload.filename.size() > 255)
        throw Error{ErrorCode::InvalidArgument, "Invalid image file name"};
    for (const auto& [key, value] : upload.properties)
        if (key.empty() || names::has_control(key) || !names::is_utf8(key) || !names::is_utf8(value) ||
            value.find('\0') != std::string::npos)
            throw Error{ErrorCode::InvalidArgument, "Invalid image property"};
    for (const auto& alias : upload.aliases)
        names::check_alias(alias.name);
}

template <typename Write>
void copy_file(const std::string& path, const std::stop_token& stop, Write write) {
    const auto slash = path.rfind('/');
    if (path.empty() || path.front() != '/')
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}: not an absolute path", path)};
    const auto file =
        Dir::open(slash == 0 ? "/" : path.substr(0, slash)).open_file(path.substr(slash + 1), O_RDONLY | O_NONBLOCK);
    std::vector<char> block(1 << 20);
    for (;;) {
        if (stop.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
        const auto n = ::read(file.get(), block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno(path);
        if (n == 0) return;
        write(block.data(), static_cast<std::size_t>(n));
    }
}

OperationOptions download(const std::string& project) {
    return {.type = kImageDownload, .project = project, .resources = {}};
}

} // namespace

std::unique_ptr<ImageSink> ImageManagerImpl::upload() {
    return std::make_unique<Sink>(*this, std::make_shared<UploadFiles>(images_.use()));
}

OperationPtr ImageManagerImpl::start_import(const ImageUpload& upload, std::shared_ptr<UploadFiles> files) {
    // Taken out by the work, so that a failed upload is gone before the operation shows its end.
    auto held = std::make_shared<std::shared_ptr<UploadFiles>>(std::move(files));
    return operations_.start(download(upload.project), [this, upload, held](OperationContext& op) {
        const auto mine = std::exchange(*held, nullptr);
        import(upload, *mine, op);
    });
}

OperationPtr ImageManagerImpl::import_files(const ImageUpload& upload, const std::string& metadata_path,
                                            const std::string& rootfs_path) {
    return operations_.start(download(upload.project), [=, this](OperationContext& op) {
        UploadFiles files{images_.use()};
        copy_file(metadata_path, op.stop_token(), [&](const char* d, std::size_t n) { files.write_metadata(d, n); });
        if (!rootfs_path.empty())
            copy_file(rootfs_path, op.stop_token(), [&](const char* d, std::size_t n) { files.write_rootfs(d, n); });
        import(upload, files, op);
    });
}

ArchiveReport ImageManagerImpl::inspect(const UploadFiles& files, OperationContext& op) const {
    auto report = cage_.inspect(files.metadata_fd(), true, op.stop_token());
    if (!report.has_metadata) throw Error{ErrorCode::InvalidArgument, "Metadata tarball is missing metadata.yaml"};
    if (const auto rootfs = files.rootfs_fd()) {
        cage_.inspect(*rootfs, false, op.stop_token());
    } else if (!report.has_rootfs) {
        throw Error{ErrorCode::InvalidArgument, "Invalid instance type"};
    }
    return report;
}

void ImageManagerImpl::import(const ImageUpload& upload, UploadFiles& files, OperationContext& op) {
    check_upload(upload);
    const auto fingerprint = files.finish_hash();
    if (!upload.expected_fingerprint.empty() && upload.expected_fingerprint != fingerprint)
        throw Error{ErrorCode::InvalidArgument, fmt::format("fingerprints don't match, got {} expected {}", fingerprint,
                                                            upload.expected_fingerprint)};
    const auto metadata = read_metadata(inspect(files, op).metadata);
    op.update_metadata({{"fingerprint", fingerprint}, {"size", std::to_string(files.size())}});

    db::ImageRow row{.architecture = metadata.architecture, .image = {}};
    auto& image = row.image;
    image.fingerprint = fingerprint;
    image.filename = upload.filename;
    image.size = files.size();
    image.is_public = upload.is_public;
    image.created_at = metadata.created_at;
    image.expires_at = metadata.expires_at;
    image.uploaded_at = api::Time::now();
    image.properties = metadata.properties;
    for (const auto& [key, value] : upload.properties)
        image.properties[key] = value;
    image.profiles = upload.profiles.empty() ? std::vector<std::string>{"default"} : upload.profiles;
    image.aliases = upload.aliases;

    const auto guard = locks_.lock("images/" + fingerprint);
    const auto found = global_.read_value(
        [&](db::Transaction& tx) { return repository_.find(tx, upload.project, fingerprint, false); });
    if (!found.empty()) throw Error{ErrorCode::AlreadyExists, "Image with same fingerprint already exists"};
    const auto intent = intents_.begin("image-import", upload.project, fingerprint);
    fault_point("image-import:intent");
    Rollback undo;
    undo.add([&] {
        const bool kept =
            global_.read_value([&](db::Transaction& tx) { return repository_.in_any_project(tx, fingerprint); });
        if (!kept) remove_files(fingerprint);
        intents_.end(intent);
    });
    files.keep(fingerprint);
    fault_point("image-import:files");
    global_.write([&](db::Transaction& tx) { repository_.insert(tx, upload.project, row); });
    undo.commit();
    fault_point("image-import:row");
    intents_.end(intent);
    events_.lifecycle(upload.project, "image-created", url(upload.project, fingerprint), {{"type", image.type}});
    prepare_tree(upload.project, image);
}

/// Still under the image's lock: whoever removes the image comes after it.
void ImageManagerImpl::prepare_tree(const std::string& project, const api::Image& image) noexcept {
    try {
        if (!first_pool_ || image.size > kPrepareUpTo) return;
        const auto pool = first_pool_(project, image.profiles);
        if (!pool.empty()) preparer_.add(pool, image.fingerprint, unpacker(image.fingerprint));
    } catch (const std::exception& error) { // the image is there all the same
        log_.warning("Failed to prepare a new image", {{"image", image.fingerprint}, {"err", error.what()}});
    }
}

storage::VolumeFiller ImageManagerImpl::filler(const std::string& fingerprint) {
    return [this, unpack = unpacker(fingerprint)](const Dir& target, OperationContext& op) {
        const TreePreparer::Precedence precedence{preparer_};
        unpack(target, op);
    };
}

storage::VolumeFiller ImageManagerImpl::unpacker(const std::string& fingerprint) {
    names::check_fingerprint(fingerprint);
    return [this, fingerprint](const Dir& target, OperationContext& op) {
        const auto images = images_.use();
        const auto metadata = images->open_file(fingerprint, O_RDONLY);
        const bool split = images->exists(fingerprint + ".rootfs");
        const auto rootfs = split ? images->open_file(fingerprint + ".rootfs", O_RDONLY) : UniqueFd{};
        struct stat status {};
        if (::fstat(split ? rootfs.get() : metadata.get(), &status) != 0) throw_errno("image file");
        Progress progress{op, "create_instance_from_image_unpack", "Unpack", status.st_size};
        const auto tell = [&](std::int64_t bytes) { progress.at(bytes); };
        if (split) {
            cage_.unpack(metadata.get(), target, true, op.stop_token());
            cage_.unpack(rootfs.get(), target.make_dir("rootfs", 0755), false, op.stop_token(), tell);
        } else {
            cage_.unpack(metadata.get(), target, true, op.stop_token(), tell);
        }
        progress.finish();
    };
}

} // namespace lxdcore::image
