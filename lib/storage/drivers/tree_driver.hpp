// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>

#include "storage/storage_driver.hpp"

namespace lxdcore::storage {

/// What drivers share whose pool is one filesystem with LXD's directories in it, and a volume an entry in one of them.
class TreeDriver : public StorageDriver {
public:
    explicit TreeDriver(const PoolContext& pool);
    api::StoragePoolResources resources() const override;
    Staged stage(const VolumeId& as) override;
    Staged stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                      std::stop_token stop, std::atomic<std::int64_t>* copied) override;
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

protected:
    static constexpr VolumePlace kPlaces[] = {VolumePlace::Instance, VolumePlace::Image, VolumePlace::Custom};
    static const char* dir_of(VolumePlace place);
    static std::string snapshots_of(VolumePlace place);
    static const std::string& leaf(const VolumeId& volume);
    static Staged staging_name(const VolumeId& as);

    virtual void make_entry(const Dir& parent, const std::string& name, mode_t mode) const = 0;
    virtual void remove_entry(const Dir& parent, const std::string& name) const = 0; ///< absent is fine

    /// LXD's directories with their modes, those that are missing made (R37, D9).
    void make_layout(const Dir& top) const;
    void remove_layout(const Dir& top) const;
    /// One of LXD's directories has something in it: an older pool, or somebody's data.
    bool layout_in_use(const Dir& top) const;

    std::string own_path() const;                                 ///< the mount point, absolute
    std::string option(const std::string& key) const;             ///< of the configuration; "" if unset
    Dir root() const;                                             ///< the mount point
    std::optional<Dir> find_parent(const VolumeId& volume) const; ///< the directory that it is in
    Dir make_parent(const VolumeId& volume) const;

    const std::string name_;
    const api::StringMap config_; ///< as it was when the driver was made
    const Dir& state_dir_;
    const Logger& log_;
    const HelperProgram* const helper_; ///< null: none
};

} // namespace lxdcore::storage
