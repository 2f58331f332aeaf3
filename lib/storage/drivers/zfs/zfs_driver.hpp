// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "storage/drivers/mounted/mounted_driver.hpp"

namespace lxdcore::storage {

/// Volumes are datasets below one dataset, laid out as LXD does: containers/, images/, custom/, and what is out of
/// sight below deleted/. A snapshot is "@snapshot-<name>" of its volume, so it belongs to the history of that dataset:
/// what takes the place of a volume with snapshots is a clone of one of them, which is promoted first. Pool in
/// zfs_pool.cpp, volumes in zfs_volumes.cpp, what changes places in zfs_exchange.cpp, streams in zfs_stream.cpp.
class ZfsDriver final : public MountedDriver, private QuotaOps, private SendReceiveOps {
public:
    explicit ZfsDriver(const PoolContext& pool);
    ZfsDriver(const PoolContext& pool, Backend backend);

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
    std::vector<std::string> list_snapshots(const VolumeId& volume) const override; ///< oldest first
    void rename(const VolumeId& volume, const std::string& to) override;
    std::optional<Staged> set_aside(const VolumeId& volume) override;
    void sweep() override;
    std::vector<std::string> list_blocks() const override;
    bool images_are_volumes() const noexcept override { return true; }
    QuotaOps* quotas() noexcept override { return this; }
    SendReceiveOps* send_receive() noexcept override { return this; }

    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;
    std::unique_ptr<Source> source(const VolumeId& volume) override;
    std::unique_ptr<Sink> sink(const VolumeId& as) override;

protected:
    std::string object_of(const VolumeId& volume) const override;
    bool has_object(const std::string& object) const override;
    Mountable prepare_mount(const std::string& object, const VolumeId& volume) const override;
    std::string block_device(const std::string& object) const override;
    void release_object(const std::string& object) const noexcept override;
    void remove_object(const std::string& object) override;

private:
    class StreamSource;
    class StreamSink;

    std::string top() const; ///< the dataset that holds all
    std::string hidden(VolumePlace place, const std::string& name) const;
    std::string hidden_new(VolumePlace place) const;
    std::string hidden_old(VolumePlace place) const;
    std::string property(const std::string& object, const std::string& name) const; ///< "-" where there is none
    std::vector<std::string> snapshots_of(const std::string& dataset) const;        ///< full names, oldest first
    std::string latest_snapshot(const VolumeId& volume) const;                      ///< full name; "": none
    bool has_loop_file(const api::StringMap& config) const;
    std::string loop_file() const;
    void make_datasets() const;
    std::vector<std::string> layout() const;

    void make_dataset(const std::string& dataset, const VolumeId& volume);
    void make_block(const std::string& dataset, const VolumeId& volume);
    void clone(const std::string& snapshot, const std::string& dataset, bool block);
    void copy_stream(const std::string& snapshot, const std::string& dataset, bool block, std::stop_token stop);
    Staged stage_block(const VolumeId& as);
    /// From one volume or snapshot to what is staged.
    void copy_content(const VolumeId& source, const Staged& staged, std::stop_token stop);
    void empty(const Staged& staged) const;
    void check_restorable(const VolumeId& source) const;
    void take_place(const std::string& taker, const std::string& leaf, const std::string& aside);
    void graft(const Staged& staged);
    void sweep_snapshots();
    bool is_disposable(const std::string& object) const;
    void rename_object(const std::string& from, const std::string& to);
};

} // namespace lxdcore::storage
