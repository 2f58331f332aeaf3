// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/log.hpp>

#include "util/dir.hpp"

namespace lxdcore {
class HelperProgram;
}

namespace lxdcore::storage {

/// What a driver is made for.
struct PoolContext {
    std::string name;
    api::StringMap config;
    const Dir& state_dir; ///< $LXD_DIR; the pool's mount point is storage-pools/<name> in it
    const Logger& log;
    const HelperProgram* helper = nullptr; ///< for what must see less of the host than we do; null: none
};

/// Where volumes of one kind live in a pool.
enum class VolumePlace { Instance, Image, Custom };

/// A volume of a pool, or a snapshot of one. Names are directory names that the caller has checked.
struct VolumeId {
    VolumePlace place = VolumePlace::Instance;
    std::string name;
    std::string snapshot = {};  ///< "": the volume itself
    std::int64_t row = 0;       ///< its number in the database where quotas need it; 0: not known, or not to be counted
    api::StringMap config = {}; ///< its own keys where it is made or mounted; others are those of the pool ("volume.*")
    bool block = false;         ///< a custom volume that is bytes, no filesystem
};

/// A volume under a name of its own, out of sight beside the one it is to become (or, set aside, that it was).
struct Staged {
    VolumeId as;
    std::string name;
};

/// Ability: the space of a volume is counted and limited. Volumes are named with their rows here. What is staged with
/// its row is counted from the first byte; anything else from the first set_quota() on, which then looks at every file.
class QuotaOps {
public:
    virtual ~QuotaOps();
    /// @p bytes 0: no limit. A volume may be used meanwhile.
    virtual void set_quota(const VolumeId& volume, std::int64_t bytes) = 0;
    virtual std::int64_t usage(const VolumeId& volume) const = 0; ///< bytes; -1: not counted yet
};

/// Ability: volumes as streams of the backend, for optimised backups and copies. Streams are blocking; a descriptor may
/// be a pipe. All throw Error Cancelled, NoSpace, Internal with the last words of the tool.
class SendReceiveOps {
public:
    virtual ~SendReceiveOps();

    /// A volume is one part, "/", and one more for each subvolume that an instance made in it, after what it is in.
    struct Part {
        std::string path; ///< "/", "/rootfs/var/lib/x"
        bool read_only = false;
        std::string identity = {}; ///< of what is sent, as the backend has it; "" where it has none
    };
    /// A volume or snapshot that does not change while this lives. Thread-bound.
    class Source {
    public:
        virtual ~Source();
        virtual const std::vector<Part>& parts() const noexcept = 0;
        /// One part into @p fd; only what differs from the same part of @p parent, unless that is null or lacks it.
        virtual void send(const std::string& part, const Source* parent, int fd, std::stop_token stop) = 0;
    };
    virtual std::unique_ptr<Source> source(const VolumeId& volume) = 0;

    /// A volume in the making; what was not finished goes. Thread-bound.
    class Sink {
    public:
        virtual ~Sink();
        /// In the order of the source's parts. What an increment builds upon is found in the pool by its identity.
        virtual void receive(const Part& part, int fd, std::stop_token stop) = 0;
        virtual Staged finish() = 0; ///< to be published
    };
    virtual std::unique_ptr<Sink> sink(const VolumeId& as) = 0;
};

/// One pool on one backend. Reentrant; never called twice at once for the same volume. Nothing that changes a volume
/// does so in place: it is staged, filled, and then takes its name in one step, so that an interruption leaves either
/// the old or the new, and sweep() the rest.
class StorageDriver {
public:
    virtual ~StorageDriver(); ///< in the .cpp: one vtable in one library

    /// @throws Error Internal with LXD's text when the kernel's part or a program is missing. Asked before anything
    /// else about a new pool is; starts no process where that can be seen without.
    virtual void require_backend() const {}
    /// Checks and completes the configuration of a new pool ("source"). @throws Error with LXD's texts
    virtual void prepare_config(api::StringMap& config) const = 0;
    /// Safe to repeat after a failure. May complete @p config further (the UUID of a device that it formatted).
    virtual void create_pool(api::StringMap& config) = 0;
    virtual void delete_pool() = 0; ///< absent is fine
    virtual void mount_pool() = 0;  ///< idempotent; re-applies directory modes. @throws when the source is away
    /// Takes a changed configuration (the source stays) into use, before it is recorded: mount options, more size.
    virtual void update_pool(const api::StringMap& config) = 0;
    virtual api::StoragePoolResources resources() const = 0;

    /// An empty volume. Its modes are those of a finished one.
    virtual Staged stage(const VolumeId& as) = 0;
    /// @p entries of @p source copied, from wherever it is. @p copied: as CopyOptions::copied
    virtual Staged stage_copy(const VolumeId& as, const Dir& source, const std::vector<std::string>& entries,
                              std::stop_token stop, std::atomic<std::int64_t>* copied) = 0;
    /// All of another volume or snapshot of this pool; a driver with snapshots needs no copy.
    virtual Staged stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) = 0;
    virtual Dir open_staged(const Staged& staged) const = 0;
    /// Gives a staged volume its name, in one step; never replaces. A snapshot is read-only from here where the
    /// driver can.
    virtual void publish(const Staged& staged) = 0;
    /// The staged volume and the one it is to become change places in one step; discard() then takes the old.
    virtual void exchange(const Staged& staged) = 0;
    virtual void discard(const Staged& staged) noexcept = 0;

    virtual bool exists(const VolumeId& volume) const = 0;
    virtual Dir open(const VolumeId& volume) const = 0; ///< @throws NotFound
    virtual std::vector<std::string> list(VolumePlace place) const = 0;
    virtual std::vector<std::string> list_snapshots(const VolumeId& volume) const = 0;
    /// A volume together with its snapshots, or one snapshot; safe to repeat after an interruption.
    virtual void rename(const VolumeId& volume, const std::string& to) = 0;
    /// The volume (without its snapshots) or the snapshot vanishes in one step; absent gives nothing.
    virtual std::optional<Staged> set_aside(const VolumeId& volume) = 0;
    /// Removes what interrupted work left under staging names, and empty directories of snapshots.
    virtual void sweep() = 0;

    /// Whether volumes are filesystems on devices of their own, which must be mounted before open() finds their
    /// content. VolumeMounts counts who needs them and is the only one to call the two below.
    virtual bool mounts_volumes() const noexcept { return false; }
    virtual void mount_volume(const VolumeId&) {} ///< idempotent
    virtual void unmount_volume(const VolumeId&) {}
    virtual std::vector<VolumeId> mounted_volumes() const { return {}; } ///< also by an earlier process
    /// Whether block volumes are devices of the backend; elsewhere each is a file, "root.img", in a directory. What
    /// is staged as one has config["size"], or LXD's default, and reads as zeros.
    virtual bool blocks_are_devices() const noexcept { return false; }
    /// The bytes of a block volume or snapshot, to be read; VolumeMounts sees that they are there.
    virtual UniqueFd open_block(const VolumeId& volume) const;
    /// How many they are. A snapshot may be a device as large as its volume has become since.
    virtual std::int64_t block_bytes(const VolumeId& volume, int file) const;
    /// The bytes of a staged one, to be written.
    virtual UniqueFd open_staged_block(const Staged& staged) const;
    /// Custom volumes that are devices; list() has the others.
    virtual std::vector<std::string> list_blocks() const { return {}; }
    /// Keys that every volume of this backend has.
    virtual void complete_volume(api::StringMap&, bool /*block*/) const {}

    virtual QuotaOps* quotas() noexcept { return nullptr; }             ///< nullptr: none
    virtual SendReceiveOps* send_receive() noexcept { return nullptr; } ///< nullptr: files are copied
    virtual bool images_are_volumes() const noexcept {
        return false;
    } ///< clones share their image's space: it is listed

    /// set_aside() and discard(); absent is fine.
    void remove(const VolumeId& volume);
};

/// Name to maker; explicit, so that the linker drops nothing and tests add their own. Reentrant.
class StorageDriverRegistry {
public:
    using Maker = std::function<std::unique_ptr<StorageDriver>(const PoolContext&)>;
    static StorageDriverRegistry with_builtin_drivers();
    void add(std::string name, Maker maker) { makers_[std::move(name)] = std::move(maker); }
    /// @throws Error Internal "Unknown driver", as LXD
    std::unique_ptr<StorageDriver> make(const std::string& driver, const PoolContext& pool) const;

private:
    std::map<std::string, Maker> makers_;
};

} // namespace lxdcore::storage
