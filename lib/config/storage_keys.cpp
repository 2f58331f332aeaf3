// SPDX-License-Identifier: Apache-2.0
#include "config/storage_keys.hpp"

#include "config/validators.hpp"

// Pools whose volumes are objects of another program: lvm, zfs, ceph, cephfs.

namespace lxdcore::config {

namespace {

std::span<const Key> lvm_keys() {
    static constexpr Key table[] = {
        {"lvm.thinpool_metadata_size", "0", check::size, false, true},
        {"lvm.thinpool_name", "LXDThinPool", check::any, true, true},
        {"lvm.use_thinpool", "true", check::boolean, false, true},
        {"lvm.vg.force_reuse", "false", check::boolean, true, true},
        {"lvm.vg_name", "", check::any, true, true},
        {"rsync.bwlimit", "0", check::size, true, true},
        {"rsync.compression", "true", check::boolean, true, true},
        {"size", "", check::size, false, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
        {"volatile.initial_source", "", check::any, false, true},
        {"volume.block.filesystem", "", check::block_filesystem, false, true},
        {"volume.block.mount_options", "", check::any, false, true},
        {"volume.lvm.stripes", "", check::uint32, false, true},
        {"volume.lvm.stripes.size", "", check::size, false, true},
        {"volume.security.shifted", "", check::boolean, false, true},
        {"volume.security.unmapped", "", check::boolean, false, true},
        {"volume.size", "", check::size, false, true},
        {"volume.snapshots.expiry", "", check::expiry, false, true},
        {"volume.snapshots.pattern", "", check::any, false, true},
        {"volume.snapshots.schedule", "", check::schedule, false, true},
    };
    return table;
}

std::span<const Key> zfs_keys() {
    static constexpr Key table[] = {
        {"rsync.bwlimit", "0", check::size, true, true},
        {"rsync.compression", "true", check::boolean, true, true},
        {"size", "", check::size, false, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
        {"volatile.initial_source", "", check::any, false, true},
        {"volume.security.shifted", "", check::boolean, false, true},
        {"volume.security.unmapped", "", check::boolean, false, true},
        {"volume.size", "", check::size, false, true},
        {"volume.snapshots.expiry", "", check::expiry, false, true},
        {"volume.snapshots.pattern", "", check::any, false, true},
        {"volume.snapshots.schedule", "", check::schedule, false, true},
        {"volume.zfs.blocksize", "", check::zfs_blocksize, false, true},
        {"volume.zfs.remove_snapshots", "", check::boolean, false, true},
        {"volume.zfs.reserve_space", "", check::boolean, false, true},
        {"volume.zfs.use_refquota", "", check::boolean, false, true},
        {"zfs.clone_copy", "true", check::zfs_clone_copy, true, true},
        {"zfs.export", "true", check::boolean, true, true},
        {"zfs.pool_name", "", check::any, false, true},
    };
    return table;
}

std::span<const Key> ceph_keys() {
    static constexpr Key table[] = {
        {"ceph.cluster_name", "ceph", check::any, true, true},
        {"ceph.osd.data_pool_name", "", check::any, true, true},
        {"ceph.osd.force_reuse", "false", check::boolean, true, true},
        {"ceph.osd.pg_num", "32", check::any, true, true},
        {"ceph.osd.pool_name", "", check::any, true, true},
        {"ceph.rbd.clone_copy", "true", check::boolean, true, true},
        {"ceph.rbd.du", "true", check::boolean, true, true},
        {"ceph.rbd.features", "layering", check::any, true, true},
        {"ceph.user.name", "admin", check::any, true, true},
        {"rsync.bwlimit", "0", check::size, true, true},
        {"rsync.compression", "true", check::boolean, true, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
        {"volatile.initial_source", "", check::any, false, true},
        {"volatile.pool.pristine", "true", check::any, false, true},
        {"volume.block.filesystem", "", check::block_filesystem, false, true},
        {"volume.block.mount_options", "", check::any, false, true},
        {"volume.security.shifted", "", check::boolean, false, true},
        {"volume.security.unmapped", "", check::boolean, false, true},
        {"volume.size", "", check::size, false, true},
        {"volume.snapshots.expiry", "", check::expiry, false, true},
        {"volume.snapshots.pattern", "", check::any, false, true},
        {"volume.snapshots.schedule", "", check::schedule, false, true},
    };
    return table;
}

std::span<const Key> cephfs_keys() {
    static constexpr Key table[] = {
        {"cephfs.cluster_name", "ceph", check::any, true, true},
        {"cephfs.fscache", "false", check::boolean, true, true},
        {"cephfs.path", "/", check::any, true, true},
        {"cephfs.user.name", "admin", check::any, true, true},
        {"rsync.bwlimit", "0", check::size, true, true},
        {"rsync.compression", "true", check::boolean, true, true},
        {"source", "", check::any, false, true},
        {"user.*", "", check::any, true, true},
        {"volatile.initial_source", "", check::any, false, true},
        {"volatile.pool.pristine", "true", check::any, false, true},
        {"volume.security.shifted", "", check::boolean, false, true},
        {"volume.security.unmapped", "", check::boolean, false, true},
        {"volume.size", "", check::size, false, true},
        {"volume.snapshots.expiry", "", check::expiry, false, true},
        {"volume.snapshots.pattern", "", check::any, false, true},
        {"volume.snapshots.schedule", "", check::schedule, false, true},
    };
    return table;
}

} // namespace

std::span<const Key> program_pool_keys(std::string_view driver) {
    if (driver == "ceph") return ceph_keys();
    if (driver == "cephfs") return cephfs_keys();
    if (driver == "lvm") return lvm_keys();
    if (driver == "zfs") return zfs_keys();
    return {};
}

} // namespace lxdcore::config
