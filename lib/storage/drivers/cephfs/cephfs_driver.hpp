// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "storage/drivers/mounted/mounted_driver.hpp"
#include "storage/drivers/tree_driver.hpp"

namespace lxdcore::storage {

/// Custom volumes in a directory of a Ceph filesystem that others may mount as well. Snapshots are copies. The
/// filesystem cannot exchange two names: what is going to take a place is called ".take-<random>-<volume>" first, and
/// from there on a start goes forward.
class CephfsDriver final : public TreeDriver, private QuotaOps {
public:
    explicit CephfsDriver(const PoolContext& pool);
    CephfsDriver(const PoolContext& pool, Backend backend);

    void require_backend() const override;
    void prepare_config(api::StringMap& config) const override;
    void create_pool(api::StringMap& config) override;
    void delete_pool() override;
    void mount_pool() override;
    void update_pool(const api::StringMap& config) override;
    Staged stage(const VolumeId& as) override;
    Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) override;
    void publish(const Staged& staged) override;
    void exchange(const Staged& staged) override;
    void rename(const VolumeId& volume, const std::string& to) override;
    std::optional<Staged> set_aside(const VolumeId& volume) override;
    void sweep() override;
    QuotaOps* quotas() noexcept override { return this; }
    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;

protected:
    void make_entry(const Dir& parent, const std::string& name, mode_t mode) const override;
    void remove_entry(const Dir& parent, const std::string& name) const override;

private:
    struct Source {
        std::string filesystem, path; ///< "name", "/dir/dir"
    };
    Source source(const api::StringMap& config) const;
    std::vector<std::string> ceph(const api::StringMap& config, std::vector<std::string> argv) const;
    /// What is mounted, and how; the secret is among the options and goes nowhere else.
    std::pair<std::string, std::string> mountable(const std::string& path) const;
    void sweep_directory(const Dir& dir) const;

    Backend backend_;
};

} // namespace lxdcore::storage
