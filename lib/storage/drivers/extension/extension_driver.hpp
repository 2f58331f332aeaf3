// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/extension/storage_backend.hpp>

#include "storage/drivers/tree_driver.hpp"

namespace lxdcore::storage {

/// Volumes are directories of a filesystem that a backend of the program's own brings.
class ExtensionDriver final : public TreeDriver {
public:
    ExtensionDriver(const PoolContext& pool, std::unique_ptr<StorageBackend> backend);
    void prepare_config(api::StringMap& config) const override;
    void create_pool(api::StringMap& config) override;
    void delete_pool() override;
    void mount_pool() override;
    void update_pool(const api::StringMap& config) override;
    Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) override;

private:
    void make_entry(const Dir& parent, const std::string& name, mode_t mode) const override;
    void remove_entry(const Dir& parent, const std::string& name) const override;

    const std::unique_ptr<StorageBackend> backend_;
};

} // namespace lxdcore::storage
