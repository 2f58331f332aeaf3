// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "storage/storage_driver.hpp"

namespace lxdcore::storage {

/// Volumes are plain directories. The pool is a directory of the state directory, or another one bind-mounted there.
/// Volumes are counted and limited where the filesystem has project quotas (project_quota.hpp).
class DirDriver final : public StorageDriver, private QuotaOps {
public:
    explicit DirDriver(const PoolContext& pool);
    void prepare_config(api::StringMap& config) const override;
    void create_pool(api::StringMap& config) override;
    void delete_pool() override;
    void mount_pool() override;
    void update_pool(const api::StringMap& config) override;
    api::StoragePoolResources resources() const override;
    Staged stage(const VolumeId& as) override;
    Staged stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                      std::stop_token stop) override;
    Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) override;
    Dir open_staged(const Staged& staged) const override;
    void publish(const Staged& staged) override;
    void exchange(const Staged& staged) override;
    void discard(const Staged& staged) noexcept override;
    bool exists(const VolumeId& volume) const override;
    Dir open(const VolumeId& volume) const override;
    std::vector<std::string> list(VolumePlace place) const override;
    std::vector<std::string> list_snapshots(const VolumeId& volume) const override;
    void rename(const VolumeId& volume, const std::string& to) override;
    std::optional<Staged> set_aside(const VolumeId& volume) override;
    void sweep() override;
    QuotaOps* quotas() noexcept override { return counts_ ? this : nullptr; }

private:
    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;
    void find_quotas(const Dir& top);
    std::string own_path() const; ///< the mount point, absolute
    Dir root() const;
    std::optional<Dir> find_parent(const VolumeId& volume) const; ///< the directory that it is in
    Dir make_parent(const VolumeId& volume) const;
    bool has_own_source() const;

    std::string name_;
    api::StringMap config_;
    const Dir& state_dir_;
    const Logger& log_;
    std::atomic<bool> counts_{false};
    std::atomic<bool> enforces_{false};
};

} // namespace lxdcore::storage
