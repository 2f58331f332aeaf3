// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/storage_volume.hpp>

#include "api/fields.hpp"

namespace lxdcore::api {

namespace detail {

template <>
struct Fields<StorageVolumePut> {
    static void of(auto&& field, auto& s) {
        field("config", s.config);
        field("description", s.description);
        field("restore", s.restore, omit_empty);
    }
};
template <>
struct Fields<StorageVolumeSource> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("type", s.type);
        field("pool", s.pool);
        field("project", s.project);
        field("mode", s.mode, omit_empty);
        field("volume_only", s.volume_only);
        field("refresh", s.refresh);
    }
};
template <>
struct Fields<StorageVolumesPost> {
    static void of(auto&& field, auto& s) {
        field("config", s.config);
        field("description", s.description);
        field("name", s.name);
        field("type", s.type);
        field("source", s.source);
        field("content_type", s.content_type);
    }
};
template <>
struct Fields<StorageVolumePost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("pool", s.pool, omit_empty);
        field("project", s.project, omit_empty);
        field("migration", s.migration);
        field("volume_only", s.volume_only);
    }
};
template <>
struct Fields<StorageVolumeSnapshotsPost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("expires_at", s.expires_at);
    }
};
template <>
struct Fields<StorageVolumeSnapshotPost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("migration", s.migration);
    }
};
template <>
struct Fields<StorageVolumeSnapshotPut> {
    static void of(auto&& field, auto& s) {
        field("description", s.description);
        field("expires_at", s.expires_at);
    }
};
template <>
struct Fields<StorageVolumeSnapshot> {
    static void of(auto&& field, auto& s) {
        field("description", s.description);
        field("expires_at", s.expires_at);
        field("name", s.name);
        field("config", s.config);
        field("content_type", s.content_type);
        field("created_at", s.created_at);
    }
};
template <>
struct Fields<StorageVolumeState> {
    static void of(auto&& field, auto& s) { field("usage", s.usage); }
};

} // namespace detail

LXDCORE_API_DEFINE_JSON(StorageVolumePut)
LXDCORE_API_DEFINE_JSON(StorageVolumeSource)
LXDCORE_API_DEFINE_JSON(StorageVolumesPost)
LXDCORE_API_DEFINE_JSON(StorageVolumePost)
LXDCORE_API_DEFINE_JSON(StorageVolumeSnapshotsPost)
LXDCORE_API_DEFINE_JSON(StorageVolumeSnapshotPost)
LXDCORE_API_DEFINE_JSON(StorageVolumeSnapshotPut)
LXDCORE_API_DEFINE_JSON(StorageVolumeSnapshot)
LXDCORE_API_DEFINE_JSON(StorageVolumeState)

} // namespace lxdcore::api
