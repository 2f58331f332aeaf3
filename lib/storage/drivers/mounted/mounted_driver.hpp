// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "storage/storage_driver.hpp"
#include "storage/tools/host.hpp"
#include "storage/tools/tools.hpp"

namespace lxdcore::storage {

/// The outside of a driver; tests give their own.
struct Backend {
    std::shared_ptr<Tools> tools;
    std::shared_ptr<Host> host;
    static Backend real(const Logger& log);
};

/// What drivers have in common whose volumes are no directories of the pool: each is an object of a backend with a name
/// of its own (a logical volume, a dataset, an image), and is mounted to be used. The pool's directory holds nothing
/// but mount points, laid out as LXD does.
class MountedDriver : public StorageDriver {
public:
    void mount_pool() override;
    void delete_pool() override;
    bool mounts_volumes() const noexcept override { return true; }
    bool blocks_are_devices() const noexcept override { return true; }
    UniqueFd open_block(const VolumeId& volume) const override;
    UniqueFd open_staged_block(const Staged& staged) const override;
    void mount_volume(const VolumeId& volume) override;
    void unmount_volume(const VolumeId& volume) override;
    std::vector<VolumeId> mounted_volumes() const override;

    Staged stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                      std::stop_token stop, std::atomic<std::int64_t>* copied) override;
    Dir open_staged(const Staged& staged) const override; ///< mounted until it is published, exchanged or discarded
    /// Where it is mounted, or through a mount of its own that goes with it.
    Dir open(const VolumeId& volume) const override;
    void discard(const Staged& staged) noexcept override;
    bool exists(const VolumeId& volume) const override;

protected:
    MountedDriver(const PoolContext& pool, Backend backend);

    /// The backend's name of a volume or snapshot; every part of it has been checked.
    virtual std::string object_of(const VolumeId& volume) const = 0;
    virtual bool has_object(const std::string& object) const = 0;
    struct Mountable {
        std::string source, type, options;
    };
    /// Makes ready what is to be mounted; snapshots are read-only.
    virtual Mountable prepare_mount(const std::string& object, const VolumeId& volume) const = 0;
    /// The device of a block volume, there to be opened.
    virtual std::string block_device(const std::string& object) const = 0;
    /// After an unmount: what was needed to have it mounted (a mapping, an activation). Still used elsewhere is fine.
    virtual void release_object(const std::string& object) const noexcept = 0;
    virtual void remove_object(const std::string& object) = 0; ///< absent is fine

    /// Out of sight, until the result and all that is opened from it are closed.
    Dir mount_detached(const std::string& object, const VolumeId& volume) const;
    /// Before a staged volume gets its name.
    void unmount_staged(const Staged& staged) const;
    /// With nothing being written, if it is mounted here: a snapshot of it is consistent.
    void while_frozen(const VolumeId& volume, const std::function<void()>& action) const;
    /// With the content at a path that programs can use: where the volume is mounted, or for a moment.
    void while_mounted(const VolumeId& volume, const std::function<void(const Dir&)>& action) const;
    /// The mount point of a volume that is gone or has another name now.
    void remove_mount_point(const VolumeId& volume) const;
    void remove_mount_points(const VolumeId& volume) const; ///< and those of its snapshots
    /// What a daemon that died left mounted for a moment.
    void sweep_mounts() const;
    bool mounted(const VolumeId& volume) const;
    std::string value(const std::string& key, const std::string& otherwise = {}) const; ///< of the pool's config
    /// Of the volume, else what the pool has for its volumes ("volume.<key>").
    std::string value_of(const VolumeId& volume, const std::string& key, const std::string& otherwise = {}) const;

    Tools& tools() const { return *backend_.tools; }
    Host& host() const { return *backend_.host; }
    std::string own_path() const;
    Dir root() const;
    const std::string& name() const { return name_; }
    const Logger& log() const { return log_; }
    const Dir& state_dir() const { return state_dir_; }
    api::StringMap config_;

private:
    Dir make_mount_point(const VolumeId& volume) const;
    std::optional<Dir> find_parent(const VolumeId& volume) const;

    std::string name_;
    const Dir& state_dir_;
    const Logger& log_;
    Backend backend_;
};

/// What LXD puts behind the name of a block volume, so that it is none of a filesystem.
inline constexpr std::string_view kBlockSuffix = ".block";
/// A size that is less than there is. @throws Error Internal with LXD's text
void refuse_block_shrink(std::int64_t wanted, std::int64_t now);

/// "containers", "images", "custom".
const char* place_name(VolumePlace place);
/// Names that backends may take apart or for something else ('/', '@', blanks) are refused before they reach them (R7).
const std::string& checked_name(const std::string& name);

} // namespace lxdcore::storage
