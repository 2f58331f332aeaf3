// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "storage/drivers/tree_driver.hpp"

namespace lxdcore::storage {

/// Volumes are plain directories. The pool is a directory of the state directory, or another one bind-mounted there.
/// Volumes are counted and limited where the filesystem has project quotas (project_quota.hpp).
class DirDriver final : public TreeDriver, private QuotaOps {
public:
    explicit DirDriver(const PoolContext& pool) : TreeDriver{pool} {}
    void prepare_config(api::StringMap& config) const override;
    void create_pool(api::StringMap& config) override;
    void delete_pool() override;
    void mount_pool() override;
    void update_pool(const api::StringMap& config) override;
    Staged stage(const VolumeId& as) override;
    Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) override;
    void exchange(const Staged& staged) override;
    std::optional<Staged> set_aside(const VolumeId& volume) override;
    QuotaOps* quotas() noexcept override { return counts_ ? this : nullptr; }

private:
    void make_entry(const Dir& parent, const std::string& name, mode_t mode) const override;
    void remove_entry(const Dir& parent, const std::string& name) const override;
    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;
    void find_quotas(const Dir& top);
    bool has_own_source() const;

    std::atomic<bool> counts_{false};
    std::atomic<bool> enforces_{false};
};

} // namespace lxdcore::storage
