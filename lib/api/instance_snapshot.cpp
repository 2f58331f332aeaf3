// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/instance_snapshot.hpp>

#include "api/fields.hpp"

namespace lxdcore::api {

namespace detail {

template <>
struct Fields<InstanceSnapshot> {
    static void of(auto&& field, auto& s) {
        field("expires_at", s.expires_at);
        field("architecture", s.architecture);
        field("config", s.config);
        field("created_at", s.created_at);
        field("devices", s.devices);
        field("ephemeral", s.ephemeral);
        field("expanded_config", s.expanded_config, omit_empty);
        field("expanded_devices", s.expanded_devices, omit_empty);
        field("last_used_at", s.last_used_at);
        field("name", s.name);
        field("profiles", s.profiles);
        field("stateful", s.stateful);
        field("size", s.size);
    }
};
template <>
struct Fields<InstanceSnapshotsPost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("stateful", s.stateful);
        field("expires_at", s.expires_at);
    }
};
template <>
struct Fields<InstanceSnapshotPut> {
    static void of(auto&& field, auto& s) { field("expires_at", s.expires_at); }
};
template <>
struct Fields<InstanceSnapshotPost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("migration", s.migration);
        field("live", s.live);
    }
};

} // namespace detail

LXDCORE_API_DEFINE_JSON(InstanceSnapshot)
LXDCORE_API_DEFINE_JSON(InstanceSnapshotsPost)
LXDCORE_API_DEFINE_JSON(InstanceSnapshotPut)
LXDCORE_API_DEFINE_JSON(InstanceSnapshotPost)

} // namespace lxdcore::api
