// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/resources.hpp>

#include <fmt/format.h>

#include "api/fields.hpp"

namespace lxdcore::api {

namespace detail {

template <>
struct Fields<RenamePost> {
    static void of(auto&& field, auto& s) { field("name", s.name); }
};
template <>
struct Fields<ProfilePut> {
    static void of(auto&& field, auto& s) {
        field("config", s.config);
        field("description", s.description);
        field("devices", s.devices);
    }
};
template <>
struct Fields<ProfilePatch> {
    static void of(auto&& field, auto& s) {
        field("config", s.config, omit_empty);
        field("description", s.description, omit_empty);
        field("devices", s.devices, omit_empty);
    }
};
template <>
struct Fields<ProfilesPost> {
    static void of(auto&& field, auto& s) {
        Fields<ProfilePut>::of(field, s);
        field("name", s.name);
    }
};
template <>
struct Fields<Profile> {
    static void of(auto&& field, auto& s) {
        Fields<ProfilePut>::of(field, s);
        field("name", s.name);
        field("used_by", s.used_by);
    }
};
template <>
struct Fields<Project> {
    static void of(auto&& field, auto& s) {
        field("config", s.config);
        field("description", s.description);
        field("name", s.name);
        field("used_by", s.used_by);
    }
};

template <>
struct Fields<ImageAliasRef> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("description", s.description);
    }
};
template <>
struct Fields<ImagePut> {
    static void of(auto&& field, auto& s) {
        field("auto_update", s.auto_update);
        field("properties", s.properties);
        field("public", s.is_public);
        field("expires_at", s.expires_at);
        field("profiles", s.profiles);
    }
};
template <>
struct Fields<ImagePatch> {
    static void of(auto&& field, auto& s) {
        field("auto_update", s.auto_update, omit_empty);
        field("properties", s.properties, omit_empty);
        field("public", s.is_public, omit_empty);
        field("expires_at", s.expires_at, omit_empty);
        field("profiles", s.profiles, omit_empty);
    }
};
template <>
struct Fields<Image> {
    static void of(auto&& field, auto& s) {
        Fields<ImagePut>::of(field, s);
        field("aliases", s.aliases);
        field("architecture", s.architecture);
        field("cached", s.cached);
        field("filename", s.filename);
        field("fingerprint", s.fingerprint);
        field("size", s.size);
        field("type", s.type);
        field("created_at", s.created_at);
        field("last_used_at", s.last_used_at);
        field("uploaded_at", s.uploaded_at);
    }
};
template <>
struct Fields<ImageAlias> {
    static void of(auto&& field, auto& s) {
        field("description", s.description);
        field("target", s.target);
        field("name", s.name);
        field("type", s.type);
    }
};
template <>
struct Fields<ImageAliasPatch> {
    static void of(auto&& field, auto& s) {
        field("description", s.description, omit_empty);
        field("target", s.target, omit_empty);
    }
};

template <>
struct Fields<NetworkPut> {
    static void of(auto&& field, auto& s) {
        field("config", s.config);
        field("description", s.description);
    }
};
template <>
struct Fields<NetworkPatch> {
    static void of(auto&& field, auto& s) {
        field("config", s.config, omit_empty);
        field("description", s.description, omit_empty);
    }
};
template <>
struct Fields<NetworksPost> {
    static void of(auto&& field, auto& s) {
        Fields<NetworkPut>::of(field, s);
        field("name", s.name);
        field("type", s.type);
    }
};
template <>
struct Fields<Network> {
    static void of(auto&& field, auto& s) {
        Fields<NetworkPut>::of(field, s);
        field("name", s.name);
        field("type", s.type);
        if (s.managed)
            field("used_by", s.used_by, null_if_empty);
        else
            field("used_by", s.used_by);
        field("managed", s.managed);
        field("status", s.status);
        field("locations", s.locations);
    }
};
template <>
struct Fields<NetworkLease> {
    static void of(auto&& field, auto& s) {
        field("hostname", s.hostname);
        field("hwaddr", s.hwaddr);
        field("address", s.address);
        field("type", s.type);
        field("location", s.location);
    }
};
template <>
struct Fields<NetworkStateBridge> {
    static void of(auto&& field, auto& s) {
        field("id", s.id);
        field("stp", s.stp);
        field("forward_delay", s.forward_delay);
        field("vlan_default", s.vlan_default);
        field("vlan_filtering", s.vlan_filtering);
        field("upper_devices", s.upper_devices);
    }
};
template <>
struct Fields<NetworkState> {
    static void of(auto&& field, auto& s) {
        field("addresses", s.addresses);
        field("counters", s.counters);
        field("hwaddr", s.hwaddr);
        field("mtu", s.mtu);
        field("state", s.state);
        field("type", s.type);
        field("bridge", s.bridge);
    }
};

template <>
struct Fields<StoragePoolPut> : Fields<NetworkPut> {};
template <>
struct Fields<StoragePoolPatch> : Fields<NetworkPatch> {};
template <>
struct Fields<StoragePoolsPost> {
    static void of(auto&& field, auto& s) {
        Fields<StoragePoolPut>::of(field, s);
        field("name", s.name);
        field("driver", s.driver);
    }
};
template <>
struct Fields<StoragePool> {
    static void of(auto&& field, auto& s) {
        Fields<StoragePoolPut>::of(field, s);
        field("name", s.name);
        field("driver", s.driver);
        field("used_by", s.used_by, null_if_empty);
        field("status", s.status);
        field("locations", s.locations);
    }
};
template <>
struct Fields<SpaceUse> {
    static void of(auto&& field, auto& s) {
        field("used", s.used);
        field("total", s.total);
    }
};
template <>
struct Fields<StoragePoolResources> {
    static void of(auto&& field, auto& s) {
        field("space", s.space);
        field("inodes", s.inodes);
    }
};
template <>
struct Fields<StorageVolume> {
    static void of(auto&& field, auto& s) {
        field("config", s.config);
        field("description", s.description);
        field("restore", s.restore, omit_empty);
        field("name", s.name);
        field("type", s.type);
        field("used_by", s.used_by);
        field("location", s.location);
        field("content_type", s.content_type);
        field("project", s.project);
        field("created_at", s.created_at);
    }
};

template <>
struct Fields<CertificatePut> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("type", s.type);
        field("restricted", s.restricted);
        field("projects", s.projects);
        field("certificate", s.certificate);
    }
};
template <>
struct Fields<CertificatePatch> {
    static void of(auto&& field, auto& s) {
        field("name", s.name, omit_empty);
        field("type", s.type, omit_empty);
        field("restricted", s.restricted, omit_empty);
        field("projects", s.projects, omit_empty);
        field("certificate", s.certificate, omit_empty);
    }
};
template <>
struct Fields<CertificatesPost> {
    static void of(auto&& field, auto& s) {
        Fields<CertificatePut>::of(field, s);
        field("password", s.password);
        field("token", s.token);
    }
};
template <>
struct Fields<Certificate> {
    static void of(auto&& field, auto& s) {
        Fields<CertificatePut>::of(field, s);
        field("fingerprint", s.fingerprint);
    }
};

} // namespace detail

LXDCORE_API_DEFINE_JSON(RenamePost)
LXDCORE_API_DEFINE_JSON(ProfilePut)
LXDCORE_API_DEFINE_JSON(ProfilePatch)
LXDCORE_API_DEFINE_JSON(ProfilesPost)
LXDCORE_API_DEFINE_JSON(Profile)
LXDCORE_API_DEFINE_JSON(Project)
LXDCORE_API_DEFINE_JSON(ImageAliasRef)
LXDCORE_API_DEFINE_JSON(ImagePut)
LXDCORE_API_DEFINE_JSON(ImagePatch)
LXDCORE_API_DEFINE_JSON(Image)
LXDCORE_API_DEFINE_JSON(ImageAlias)
LXDCORE_API_DEFINE_JSON(ImageAliasPatch)
LXDCORE_API_DEFINE_JSON(NetworkPut)
LXDCORE_API_DEFINE_JSON(NetworkPatch)
LXDCORE_API_DEFINE_JSON(NetworksPost)
LXDCORE_API_DEFINE_JSON(NetworkLease)
LXDCORE_API_DEFINE_JSON(NetworkStateBridge)
LXDCORE_API_DEFINE_JSON(StoragePoolPut)
LXDCORE_API_DEFINE_JSON(StoragePoolPatch)
LXDCORE_API_DEFINE_JSON(StoragePoolsPost)
LXDCORE_API_DEFINE_JSON(StoragePool)
LXDCORE_API_DEFINE_JSON(SpaceUse)
LXDCORE_API_DEFINE_JSON(StoragePoolResources)
LXDCORE_API_DEFINE_JSON(StorageVolume)
LXDCORE_API_DEFINE_JSON(CertificatePut)
LXDCORE_API_DEFINE_JSON(CertificatePatch)
LXDCORE_API_DEFINE_JSON(CertificatesPost)
LXDCORE_API_DEFINE_JSON(Certificate)

void to_json(nlohmann::json& json, const Network& value) {
    detail::Fields<Network>::of(detail::Writer{json}, value);
    if (!value.managed) json["locations"] = nullptr; // LXD has none for what it does not manage
}

void from_json(const nlohmann::json& json, Network& value) { detail::Fields<Network>::of(detail::Reader{json}, value); }

void to_json(nlohmann::json& json, const NetworkState& value) {
    detail::Fields<NetworkState>::of(detail::Writer{json}, value);
    for (const auto* key : {"errors_received", "errors_sent", "packets_dropped_outbound", "packets_dropped_inbound"})
        json["counters"].erase(key); // only instances count these
    for (const auto* key : {"bond", "vlan", "ovn"})
        json[key] = nullptr;
}

void from_json(const nlohmann::json& json, NetworkState& value) {
    detail::Fields<NetworkState>::of(detail::Reader{json}, value);
}

void to_json(nlohmann::json& json, const ServerPut& value) { json = {{"config", value.config}}; }

void from_json(const nlohmann::json& json, ServerPut& value) {
    nlohmann::json config = nlohmann::json::object();
    detail::Reader{json}("config", config);
    if (!config.is_object()) throw Error{ErrorCode::InvalidArgument, "config: expected an object"};
    for (const auto& [key, element] : config.items()) {
        if (element.is_string())
            value.config[key] = element.get<std::string>();
        else if (element.is_boolean() || element.is_number_integer())
            value.config[key] = element.dump();
        else if (element.is_null())
            value.config[key].clear();
        else
            throw Error{ErrorCode::InvalidArgument, fmt::format("config: {}: expected a string", key)};
    }
}

} // namespace lxdcore::api
