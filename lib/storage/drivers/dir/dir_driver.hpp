// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "storage/storage_driver.hpp"

namespace lxdcore::storage {

/// Volumes are plain directories. The pool is a directory of the state directory, or another one bind-mounted there.
class DirDriver final : public StorageDriver {
public:
    explicit DirDriver(const PoolContext& pool);
    void prepare_config(api::StringMap& config) const override;
    void create_pool() override;
    void delete_pool() override;
    void mount_pool() override;
    api::StoragePoolResources resources() const override;
    std::string stage(VolumePlace place) override;
    std::string stage_copy(VolumePlace place, const Dir& source, const std::vector<std::string>& entries,
                           std::stop_token stop) override;
    Dir open_staged(VolumePlace place, const std::string& staged) const override;
    void publish(VolumePlace place, const std::string& staged, const std::string& name) override;
    void discard(VolumePlace place, const std::string& staged) noexcept override;
    bool exists(VolumePlace place, const std::string& name) const override;
    Dir open(VolumePlace place, const std::string& name) const override;
    std::vector<std::string> list(VolumePlace place) const override;
    void rename(VolumePlace place, const std::string& from, const std::string& to) override;
    void remove(VolumePlace place, const std::string& name) override;
    std::string set_aside(VolumePlace place, const std::string& name) override;
    void sweep() override;

private:
    std::string own_path() const; ///< the mount point, absolute
    Dir root() const;
    Dir place_dir(VolumePlace place) const;
    bool has_own_source() const;

    std::string name_;
    api::StringMap config_;
    const Dir& state_dir_;
    const Logger& log_;
};

} // namespace lxdcore::storage
