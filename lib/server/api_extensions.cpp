// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/service/server_service.hpp>

namespace lxdcore {

/// In LXD's order; a name is here only when what it stands for works. Append where LXD's list has it.
const std::vector<std::string>& ServerService::api_extensions() {
    static const std::vector<std::string> extensions{
        "container_host_shutdown_timeout", // boot.host_shutdown_timeout
        "container_stop_priority",         // boot.stop.priority
        "container_syscall_filtering",     // security.syscalls.*
        "container_last_used_at",          // last_used_at of instances
        "etag",                            // ETag and If-Match
        "patch",                           // PATCH
        "https_allowed_credentials",       // core.https_allowed_credentials
        "image_compression_algorithm",     // compression_algorithm of a published image
        "directory_manipulation",          // files: directories
        "storage_lvm_mount_options",       // block.mount_options
        "container_cpu_time",              // cpu in the state
        "network",                         // /1.0/networks
        "profile_usedby",                  // used_by of profiles
        "certificate_update",              // PUT and PATCH of certificates
        "container_exec_recording",        // record-output
        "container_exec_signal_handling",  // signals to exec
        "container_image_properties",      // image.* keys
        "id_map",                          // security.idmap.*
        "network_firewall_filtering",      // ipv4.firewall, ipv6.firewall
        "network_routes",                  // ipv4.routes, ipv6.routes
        "storage",                         // /1.0/storage-pools
        "file_delete",                     // DELETE of files
        "file_append",                     // X-LXD-write: append
        "network_dhcp_expiry",             // ipv4.dhcp.expiry
        "storage_lvm_vg_rename",           // lvm.vg_name
        "storage_lvm_thinpool_rename",     // lvm.thinpool_name
        "image_create_aliases",
        "container_only_migration",    // copies without snapshots
        "storage_lvm_use_thinpool",    // lvm.use_thinpool
        "storage_btrfs_mount_options", // aliases at image creation
        "entity_description",          // descriptions
        "image_force_refresh",         // POST …/refresh
        "storage_lvm_lv_resizing",     // volumes of lvm grow and shrink
        "id_map_base",                 // security.idmap.base
        "file_symlinks",               // files: links
        "container_edit_metadata",     // /metadata, /metadata/templates
        "resource_limits",
        "storage_volatile_initial_source",                // sizes in the state and pools' resources
        "storage_block_filesystem_btrfs",                 // block.filesystem=btrfs
        "resources",                                      // /1.0/resources
        "kernel_limits",                                  // limits.kernel.*
        "storage_api_volume_rename",                      // POST of a volume
        "console",                                        // console and its log
        "restrict_devlxd",                                // security.devlxd
        "devlxd_events",                                  // events for guests
        "network_dhcp_gateway",                           // ipv4.dhcp.gateway
        "file_get_symlink",                               // GET of a link
        "network_leases",                                 // leases
        "storage_api_local_volume_handling",              // copies and moves of volumes
        "operation_description",                          // description of operations
        "event_lifecycle",                                // lifecycle events
        "container_backup",                               // backups of instances
        "devlxd_images",                                  // security.devlxd.images
        "container_local_cross_pool_handling",            // copies between pools
        "network_state",                                  // state of networks
        "container_protection_delete",                    // security.protection.delete
        "network_hwaddr",                                 // bridge.hwaddr
        "network_nat_order",                              // ipv4.nat.order
        "container_full",                                 // recursion=2
        "backup_compression",                             // backups.compression_algorithm
        "storage_api_volume_snapshots",                   // snapshots of volumes
        "storage_unmapped",                               // security.unmapped
        "projects",                                       // an answer for the default project
        "container_incremental_copy",                     // refresh of a copy
        "snapshot_scheduling",                            // snapshots.schedule, .pattern
        "snapshot_schedule_aliases",                      // @daily and others
        "container_protection_shift",                     // security.protection.shift
        "snapshot_expiry",                                // snapshots.expiry
        "container_backup_override_pool",                 // import into another pool
        "snapshot_expiry_creation",                       // expires_at of a new snapshot
        "network_leases_location",                        // location of leases
        "resources_cpu_socket",                           // socket ids
        "resources_gpu",                                  // graphics cards
        "resources_numa",                                 // NUMA nodes
        "kernel_features",                                // environment: kernel_features
        "id_map_current",                                 // volatile.idmap.current
        "network_nat_address",                            // ipv4.nat.address
        "lxc_features",                                   // environment: lxc_features
        "resources_v2",                                   // the second form of /1.0/resources
        "container_exec_user_group_cwd",                  // exec: user, group, cwd
        "container_syscall_intercept",                    // security.syscalls.intercept.mknod, .setxattr
        "storage_shifted",                                // security.shifted
        "resources_infiniband",                           // cards: infiniband
        "instances",                                      // /1.0/instances
        "image_types",                                    // type of images
        "resources_disk_sata",                            // disks: rpm
        "images_expiry",                                  // expiry of images
        "resources_network_firmware",                     // cards: firmware_version
        "backup_compression_algorithm",                   // compression_algorithm of a backup
        "compression_squashfs",                           // images and backups as a squashfs
        "container_syscall_intercept_mount",              // mounts carried out for guests
        "container_syscall_intercept_mount_fuse",         // the same by programs of guests
        "image_profiles",                                 // profiles of images
        "resources_disk_id",                              // disks: device_id
        "storage_lvm_stripes",                            // lvm.stripes
        "api_filtering",                                  // filter= of lists
        "instance_nic_network",                           // network= of NICs
        "firewall_driver",                                // environment: firewall
        "container_syscall_intercept_hugetlbfs",          // huge pages mounted for guests
        "custom_volume_snapshot_expiry",                  // snapshots.expiry of volumes
        "volume_snapshot_scheduling",                     // snapshots.schedule of volumes
        "snapshot_disk_usage",                            // size of snapshots
        "resources_usb_pci",                              // USB and PCI devices
        "resources_cpu_threads_numa",                     // threads: numa_node
        "resources_cpu_core_die",                         // cores: die
        "api_os",                                         // environment: os_name, os_version
        "resources_system",                               // system
        "network_dns_search",                             // dns.search
        "network_state_bond_bridge",                      // bridge in the state of networks
        "usedby_consistency",                             // used_by with the project
        "custom_block_volumes",                           // content_type: block
        "resources_gpu_mdev",                             // graphics cards: mediated devices
        "resources_pci_iommu",                            // PCI devices: iommu_group
        "resources_network_usb",                          // cards: usb_address
        "resources_disk_address",                         // disks: pci_address
        "instance_bulk_state_change",                     // PUT /1.0/instances
        "instance_pool_move",                             // POST with a pool
        "certificate_project",                            // restricted, projects
        "project_usage",                                  // state of projects
        "warnings",                                       // /1.0/warnings
        "server_supported_storage_drivers",               // environment
        "event_lifecycle_requestor_address",              // requestor: address
        "resources_gpu_usb",                              // graphics cards: usb_address
        "network_counters_errors_dropped",                // errors and drops in counters
        "metrics",                                        // /1.0/metrics
        "linux_sysctl",                                   // linux.sysctl.*
        "cloud_init",                                     // cloud-init.*
        "instance_all_projects",                          // all-projects of instances
        "instance_get_full",                              // recursion=1 of one instance
        "event_project",                                  // project of events
        "instance_allow_inconsistent_copy",               // allow_inconsistent
        "storage_volume_api_filtering",                   // filter= of volumes
        "metrics_cpu_seconds",                            // lxd_cpu_seconds_total
        "instance_snapshot_never",                        // @never
        "certificate_token",                              // one-time tokens for new clients
        "metrics_authentication",                         // core.metrics_authentication
        "container_syscall_intercept_bpf_devices",        // device programs of cgroups
        "custom_volume_backup",                           // backups of volumes
        "backup_override_name",                           // import under another name
        "storage_volume_state",                           // state of volumes
        "custom_volume_refresh",                          // refresh of a copy
        "container_syscall_intercept_sched_setscheduler", // realtime scheduling
        "storage_lvm_thinpool_metadata_size",             // lvm.thinpool_metadata_size
        "storage_volume_state_total",                     // total in the state of volumes
        "instance_file_head",                             // HEAD of files
        "resources_pci_vpd",                              // vital product data
        "storage_volumes_all_projects",                   // all-projects of volumes
    };
    return extensions;
}

} // namespace lxdcore
