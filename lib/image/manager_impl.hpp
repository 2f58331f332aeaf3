// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>

#include "db/image_repository.hpp"
#include "db/intents.hpp"
#include "image/cage.hpp"
#include "image/image_files.hpp"
#include "image/image_manager.hpp"
#include "image/tree_preparer.hpp"
#include "storage/server_folder.hpp"
#include "util/entity_locks.hpp"
#include "util/locked.hpp"

namespace lxdcore::image {

/// Reading and changing in image_manager.cpp, uploads in import.cpp, files out in export.cpp, aliases in aliases.cpp.
class ImageManagerImpl final : public ImageManager {
public:
    ImageManagerImpl(db::Database& local, db::Database& global, storage::StorageManager& storage,
                     OperationService& operations, EventService& events, const HelperProgram& helper, const Logger& log,
                     PoolOfProfiles first_pool);

    void start() override;
    api::Image resolve(const std::string& project, const std::string& fingerprint,
                       const std::string& alias) const override;
    storage::VolumeFiller filler(const std::string& fingerprint) override;
    void import_stream(const ImageUpload& upload, const ImageWriter& write, OperationContext& op) override;
    void touch(const std::string& project, const std::string& fingerprint) override;

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

    /// The work of an import, in its operation.
    void import(const ImageUpload& upload, UploadFiles& files, OperationContext& op);
    OperationPtr start_import(const ImageUpload& upload, std::shared_ptr<UploadFiles> files);

private:
    db::ImageRow need(db::Transaction& tx, const std::string& project, const std::string& fingerprint,
                      bool public_only = false) const;
    db::ImageRow need(const std::string& project, const std::string& fingerprint, bool public_only = false) const;
    api::ImageAlias need_alias(db::Transaction& tx, const std::string& project, const std::string& name) const;
    void store(const std::string& project, const db::ImageRow& row, const api::ImagePut& image,
               const std::string& if_match);
    ArchiveReport inspect(const UploadFiles& files, OperationContext& op) const;
    void prepare_tree(const std::string& project, const api::Image& image) noexcept;
    storage::VolumeFiller unpacker(const std::string& fingerprint);
    void remove_files(const std::string& fingerprint);
    std::string url(const std::string& project, const std::string& path) const;

    db::Database& global_;
    storage::ServerFolder& images_;
    storage::StorageManager& storage_;
    OperationService& operations_;
    EventService& events_;
    const Logger& log_;
    Cage cage_;
    PoolOfProfiles first_pool_;
    db::IntentLog intents_;
    db::ImageRepository repository_;
    mutable EntityLocks locks_;
    /// Token operations that can still be redeemed, by id.
    std::shared_ptr<Locked<std::map<std::string, std::shared_ptr<OperationHandle>>>> secrets_ =
        std::make_shared<Locked<std::map<std::string, std::shared_ptr<OperationHandle>>>>();
    TreePreparer preparer_{storage_, log_}; ///< last: its thread uses the others
};

} // namespace lxdcore::image
