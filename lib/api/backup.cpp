// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/backup.hpp>

#include "api/fields.hpp"

namespace lxdcore::api {

namespace detail {

template <>
struct Fields<InstanceBackupsPost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("expires_at", s.expires_at);
        field("instance_only", s.instance_only);
        field("container_only", s.container_only);
        field("optimized_storage", s.optimized_storage);
        field("compression_algorithm", s.compression_algorithm);
    }
};
template <>
struct Fields<InstanceBackup> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("created_at", s.created_at);
        field("expires_at", s.expires_at);
        field("instance_only", s.instance_only);
        field("container_only", s.container_only);
        field("optimized_storage", s.optimized_storage);
    }
};
template <>
struct Fields<StorageVolumeBackupsPost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("expires_at", s.expires_at);
        field("volume_only", s.volume_only);
        field("optimized_storage", s.optimized_storage);
        field("compression_algorithm", s.compression_algorithm);
    }
};
template <>
struct Fields<StorageVolumeBackup> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("created_at", s.created_at);
        field("expires_at", s.expires_at);
        field("volume_only", s.volume_only);
        field("optimized_storage", s.optimized_storage);
    }
};

} // namespace detail

LXDCORE_API_DEFINE_JSON(InstanceBackupsPost)
LXDCORE_API_DEFINE_JSON(InstanceBackup)
LXDCORE_API_DEFINE_JSON(StorageVolumeBackupsPost)
LXDCORE_API_DEFINE_JSON(StorageVolumeBackup)

} // namespace lxdcore::api
