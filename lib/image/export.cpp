// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "image/manager_impl.hpp"
#include "operation/operation_types.hpp"
#include "util/text.hpp"

namespace lxdcore::image {

namespace {

std::int64_t size_of(const UniqueFd& fd) {
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw_errno("image file");
    return status.st_size;
}

} // namespace

std::vector<ImageService::ExportFile> ImageManagerImpl::open_export(const std::string& project,
                                                                    const std::string& prefix, bool public_only) {
    const auto fingerprint = need(project, prefix, public_only).image.fingerprint;
    const auto images = images_.use();
    auto metadata = images->open_file(fingerprint, O_RDONLY);
    const auto name = fingerprint + extension(detect_format(metadata.get()));
    const auto metadata_size = size_of(metadata);
    std::vector<ExportFile> files;
    if (images->exists(fingerprint + ".rootfs")) {
        auto rootfs = images->open_file(fingerprint + ".rootfs", O_RDONLY);
        const auto rootfs_name = fingerprint + extension(detect_format(rootfs.get()));
        const auto rootfs_size = size_of(rootfs);
        files.reserve(2);
        files.push_back({"meta-" + name, metadata.release(), metadata_size});
        files.push_back({rootfs_name, rootfs.release(), rootfs_size});
    } else {
        files.reserve(1);
        files.push_back({name, metadata.release(), metadata_size});
    }
    events_.lifecycle(project, "image-retrieved", url(project, fingerprint));
    return files;
}

OperationPtr ImageManagerImpl::create_secret(const std::string& project, const std::string& prefix) {
    const auto fingerprint = need(project, prefix).image.fingerprint;
    OperationOptions options{.klass = OperationClass::Token, .type = kImageToken, .project = project, .resources = {}};
    options.resources["images"] = {"/1.0/images/" + fingerprint};
    auto handle = operations_.create(std::move(options));
    handle->context().update_metadata({{"secret", text::random_hex(32)}});
    auto operation = handle->operation();
    // Not to hold each other: a secret that nobody uses ends with the last of us.
    handle->on_cancel([weak = std::weak_ptr{secrets_}, id = operation->id()] {
        const auto secrets = weak.lock();
        if (!secrets) return;
        std::shared_ptr<OperationHandle> ended;
        const auto held = secrets->lock();
        if (const auto it = held->find(id); it != held->end()) ended = std::move(it->second);
        if (ended) ended->fail("Operation cancelled");
        held->erase(id);
    });
    secrets_->lock()->emplace(operation->id(), handle);
    handle->run();
    events_.lifecycle(project, "image-secret-created", url(project, fingerprint));
    return operation;
}

OperationPtr ImageManagerImpl::refresh(const std::string& project, const std::string& prefix) {
    const auto fingerprint = need(project, prefix).image.fingerprint;
    return operations_.start(
        {.type = kImageRefresh, .project = project, .resources = {}}, [project, fingerprint](OperationContext&) {
            // Uploaded images have no source, and others do not exist yet.
            throw Error{ErrorCode::NotFound, fmt::format("Failed to update image {} in project {}: Image source not "
                                                         "found",
                                                         text::quote(fingerprint), text::quote(project))};
        });
}

} // namespace lxdcore::image
