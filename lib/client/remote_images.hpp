// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/image_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Images of the server. Thread-safe.
class RemoteImages final : public ImageService {
public:
    explicit RemoteImages(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::Image> list(const std::string& project, bool public_only) const override;
    std::vector<std::string> fingerprints(const std::string& project, bool public_only) const override;
    api::Image get(const std::string& project, const std::string& fingerprint, bool public_only) const override;
    std::unique_ptr<ImageSink> upload() override;
    OperationPtr import_files(const ImageUpload& upload, const std::string& metadata_path,
                              const std::string& rootfs_path) override;
    void update(const std::string& project, const std::string& fingerprint, const api::ImagePut& image,
                const std::string& if_match) override;
    void patch(const std::string& project, const std::string& fingerprint, const api::ImagePatch& image,
               const std::string& if_match) override;
    OperationPtr remove(const std::string& project, const std::string& fingerprint) override;
    std::vector<ExportFile> open_export(const std::string& project, const std::string& fingerprint,
                                        bool public_only) override;
    OperationPtr create_secret(const std::string& project, const std::string& fingerprint) override;
    OperationPtr refresh(const std::string& project, const std::string& fingerprint) override;
    std::vector<api::ImageAlias> aliases(const std::string& project) const override;
    api::ImageAlias alias(const std::string& project, const std::string& name, bool public_only) const override;
    void create_alias(const std::string& project, const api::ImageAlias& alias) override;
    void update_alias(const std::string& project, const std::string& name, const api::ImageAliasPatch& alias,
                      const std::string& if_match) override;
    void rename_alias(const std::string& project, const std::string& name, const std::string& new_name) override;
    void remove_alias(const std::string& project, const std::string& name) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
