// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "storage/drivers/mounted/filesystem.hpp"
#include "storage/drivers/mounted/mounted_driver.hpp"

namespace lxdcore::storage {

/// Volumes are logical volumes of one group, thin (snapshots share space in both directions) or thick (a snapshot is
/// copy on write and goes with its origin, which therefore stays, out of sight, for as long as it has one). The names
/// are LXD's; what is staged or set aside is "lxdcore-new-…" or "lxdcore-old-…".
/// Pool in lvm_pool.cpp, volumes in lvm_volumes.cpp, what changes places in lvm_exchange.cpp, sizes in lvm_size.cpp.
class LvmDriver final : public MountedDriver, private QuotaOps {
public:
    explicit LvmDriver(const PoolContext& pool);
    LvmDriver(const PoolContext& pool, Backend backend);

    void require_backend() const override;
    void prepare_config(api::StringMap& config) const override;
    void create_pool(api::StringMap& config) override;
    void delete_pool() override;
    void mount_pool() override;
    void update_pool(const api::StringMap& config) override;
    api::StoragePoolResources resources() const override;
    Staged stage(const VolumeId& as) override;
    Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) override;
    void publish(const Staged& staged) override;
    void exchange(const Staged& staged) override;
    std::vector<std::string> list(VolumePlace place) const override;
    std::vector<std::string> list_snapshots(const VolumeId& volume) const override;
    void rename(const VolumeId& volume, const std::string& to) override;
    std::optional<Staged> set_aside(const VolumeId& volume) override;
    void sweep() override;
    void complete_volume(api::StringMap& config, bool block) const override { filesystem::complete(config, block); }
    std::vector<std::string> list_blocks() const override;
    std::int64_t block_bytes(const VolumeId& volume, int file) const override;
    bool images_are_volumes() const noexcept override { return true; }
    QuotaOps* quotas() noexcept override { return this; }

    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;

protected:
    std::string object_of(const VolumeId& volume) const override;
    bool has_object(const std::string& object) const override;
    Mountable prepare_mount(const std::string& object, const VolumeId& volume) const override;
    std::string block_device(const std::string& object) const override;
    void release_object(const std::string& object) const noexcept override;
    void remove_object(const std::string& object) override;

private:
    struct Volume {
        std::string name, origin, tags;
        std::int64_t size = 0;
        double used_percent = 0; ///< of a thin volume
    };
    /// By name; nothing where the group is away.
    std::map<std::string, Volume> volumes() const;
    std::optional<Volume> find(const std::string& object) const;
    /// Bytes of its content.
    std::int64_t content_size(const Volume& volume, const std::map<std::string, Volume>& all) const;

    bool thin() const;
    std::string group() const;
    std::string thin_pool() const;
    std::string device(const std::string& object) const { return "/dev/" + group() + "/" + object; }
    std::string in_group(const std::string& object) const { return group() + "/" + object; }
    bool has_loop_file(const api::StringMap& config) const;
    std::string loop_file() const;

    void make_volume(const std::string& object, const VolumeId& volume, std::int64_t bytes);
    void make_snapshot(const std::string& object, const Volume& source);
    void make_group(const std::string& device);
    void make_thin_pool();
    void check_existing_group(const api::StringMap& config) const;
    std::string attach_loop() const;
    void detach_loop() const noexcept;
    void activate(const std::string& object) const;
    void rename_object(const std::string& from, const std::string& to);
    void resize(const Volume& volume, const std::vector<std::string>& snapshots, std::int64_t bytes);
    /// Those of a thick volume, which lie on it.
    std::vector<std::string> dependents(const std::string& object, const std::map<std::string, Volume>& all) const;
    void finish_exchange(const Volume& staged, const std::string& leaf);
    std::int64_t rounded(std::int64_t bytes) const;
};

/// Names of logical volumes as LXD makes them: "containers_c--1-snap0", "custom_default_b.block".
std::string lvm_name(const VolumeId& volume);
/// The volume that has this name; nothing for names that are not of this form.
std::optional<VolumeId> lvm_volume(VolumePlace place, const std::string& name);

} // namespace lxdcore::storage
