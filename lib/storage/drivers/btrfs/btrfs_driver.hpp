// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

#include "storage/drivers/tree_driver.hpp"
#include "storage/filesystem_mount.hpp"

namespace lxdcore::storage {

/// Volumes are subvolumes: a clone is a snapshot, and takes no time and no space. The pool is a filesystem in a loop
/// file of the state directory, on a device, or a subvolume of one that is mounted elsewhere. Pools in
/// btrfs_pool.cpp, volumes in btrfs_driver.cpp, streams in btrfs_streams.cpp.
class BtrfsDriver final : public TreeDriver, private QuotaOps, private SendReceiveOps {
public:
    explicit BtrfsDriver(const PoolContext& pool);
    /// The version of the tools. @throws Error with LXD's texts where they or the kernel's part are missing
    static std::string version();

    void prepare_config(api::StringMap& config) const override;
    void create_pool(api::StringMap& config) override;
    void delete_pool() override;
    void mount_pool() override;
    void update_pool(const api::StringMap& config) override;

    Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) override;
    void publish(const Staged& staged) override;
    void exchange(const Staged& staged) override;
    QuotaOps* quotas() noexcept override { return this; }
    SendReceiveOps* send_receive() noexcept override { return this; }
    bool images_are_volumes() const noexcept override { return true; }

private:
    class FrozenSource;
    class StreamSink;
    enum class Kind { LoopFile, Device, Directory };

    void make_entry(const Dir& parent, const std::string& name, mode_t mode) const override;
    void remove_entry(const Dir& parent, const std::string& name) const override;
    void set_quota(const VolumeId& volume, std::int64_t bytes) override;
    std::int64_t usage(const VolumeId& volume) const override;
    std::unique_ptr<Source> source(const VolumeId& volume) override;
    std::unique_ptr<Sink> sink(const VolumeId& as) override;

    Kind kind(const std::string& source) const;
    std::string loop_path() const;
    std::string loop_name() const;
    UniqueFd open_loop_file() const;
    void prepare_loop(api::StringMap& config) const;
    void prepare_directory(const std::string& source) const;
    void create_loop(const api::StringMap& config);
    void create_device(api::StringMap& config);
    void create_directory(const std::string& source);
    void format(const std::string& where, const std::string& what) const;
    void mount_device(const std::string& device, const std::string& uuid, const Dir& target) const;
    void mount_directory(const std::string& source, const Dir& target) const;
    void finish_growth(const Dir& mounted) const;
    Dir mount_point() const; ///< made if it is not there

    mutable std::mutex mutex_;
    std::string mount_options_; ///< under mutex_
};

} // namespace lxdcore::storage
