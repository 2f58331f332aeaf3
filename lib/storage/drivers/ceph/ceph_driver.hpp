// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "storage/drivers/mounted/filesystem.hpp"
#include "storage/drivers/mounted/mounted_driver.hpp"

namespace lxdcore::storage {

/// Volumes are RBD images of one OSD pool, with LXD's names; snapshots belong to their image, and what has clones stays
/// as a "zombie_…" until the last of them is gone. An image with snapshots cannot give its name away without them: what
/// takes its place is written over it, with a snapshot of what was there until that is done.
/// Pool in ceph_pool.cpp, volumes in ceph_volumes.cpp, what changes places in ceph_exchange.cpp.
class CephDriver final : public MountedDriver, private QuotaOps {
public:
    explicit CephDriver(const PoolContext& pool);
    CephDriver(const PoolContext& pool, Backend backend);

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
    bool images_are_volumes() const noexcept override { return true; }
    QuotaOps* quotas() noexcept override { return this; }

    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;

protected:
    std::string object_of(const VolumeId& volume) const override;
    bool has_object(const std::string& object) const override;
    Mountable prepare_mount(const std::string& object, const VolumeId& volume) const override;
    std::string block_device(const std::string& object) const override { return map(object); }
    void release_object(const std::string& object) const noexcept override;
    void remove_object(const std::string& object) override;

private:
    std::string osd_pool() const;
    std::string in_pool(const std::string& object) const { return osd_pool() + "/" + object; }
    std::vector<std::string> rbd(std::vector<std::string> argv) const; ///< the whole command line
    std::vector<std::string> ceph(std::vector<std::string> argv) const;
    std::string filesystem_type() const;
    std::vector<std::string> images() const;
    std::vector<std::string> snapshots_of(const std::string& image) const;
    std::vector<std::string> children_of(const std::string& snapshot) const;
    std::string parent_of(const std::string& image) const; ///< "image@snapshot"; "": none
    std::int64_t size_of(const std::string& image) const;
    /// The device of an image or snapshot; mapped if it is not.
    std::string map(const std::string& object) const;
    void unmap(const std::string& object) const;
    void make_image(const std::string& image, std::int64_t bytes);
    void make_snapshot(const std::string& snapshot); ///< "image@snapshot"
    void protect(const std::string& snapshot);
    void rename_object(const std::string& from, const std::string& to);
    void overwrite(const std::string& image, const std::string& with, const std::string& then_snapshot);
    void remove_snapshot(const std::string& snapshot);
    void finish_exchange(const std::string& taker, const std::string& leaf);
};

} // namespace lxdcore::storage
