// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/api/instance.hpp>
#include <lxdcore/api/types.hpp>

namespace lxdcore::api {

/// POST to an object that is to be renamed (profile, network, image alias).
struct RenamePost {
    std::string name;
};
LXDCORE_API_JSON(RenamePost);

// --- profiles and projects -------------------------------------------------------------------------------------------

struct ProfilePut {
    StringMap config;
    std::string description;
    Devices devices;
};
LXDCORE_API_JSON(ProfilePut);
struct ProfilePatch {
    std::optional<StringMap> config;
    std::optional<std::string> description;
    std::optional<Devices> devices;
};
LXDCORE_API_JSON(ProfilePatch);
struct ProfilesPost : ProfilePut {
    std::string name;
};
LXDCORE_API_JSON(ProfilesPost);
struct Profile : ProfilePut {
    std::string name;
    std::vector<std::string> used_by;
};
LXDCORE_API_JSON(Profile);
struct Project {
    std::string name;
    std::string description;
    StringMap config;
    std::vector<std::string> used_by;
};
LXDCORE_API_JSON(Project);

// --- images ----------------------------------------------------------------------------------------------------------

struct ImageAliasRef {
    std::string name;
    std::string description;
};
LXDCORE_API_JSON(ImageAliasRef);
struct ImagePut {
    bool auto_update = false;
    StringMap properties;
    bool is_public = false; ///< "public"
    Time expires_at;
    std::vector<std::string> profiles;
};
LXDCORE_API_JSON(ImagePut);
struct ImagePatch {
    std::optional<bool> auto_update, is_public;
    std::optional<StringMap> properties;
    std::optional<Time> expires_at;
    std::optional<std::vector<std::string>> profiles;
};
LXDCORE_API_JSON(ImagePatch);
struct Image : ImagePut {
    std::vector<ImageAliasRef> aliases;
    std::string architecture;
    bool cached = false;
    std::string filename;
    std::string fingerprint;
    std::int64_t size = 0; ///< bytes of its files
    std::string type = "container";
    Time created_at, last_used_at, uploaded_at;
};
LXDCORE_API_JSON(Image);
struct ImageAlias {
    std::string name, description, target, type = "container";
};
LXDCORE_API_JSON(ImageAlias);
struct ImageAliasPatch {
    std::optional<std::string> description, target;
};
LXDCORE_API_JSON(ImageAliasPatch);

// --- networks --------------------------------------------------------------------------------------------------------

struct NetworkPut {
    StringMap config;
    std::string description;
};
LXDCORE_API_JSON(NetworkPut);
struct NetworkPatch {
    std::optional<StringMap> config;
    std::optional<std::string> description;
};
LXDCORE_API_JSON(NetworkPatch);
struct NetworksPost : NetworkPut {
    std::string name, type;
};
LXDCORE_API_JSON(NetworksPost);
struct Network : NetworkPut {
    std::string name, type;
    std::vector<std::string> used_by;
    bool managed = false;
    std::string status;
    std::vector<std::string> locations;
};
LXDCORE_API_JSON(Network);
struct NetworkLease {
    std::string hostname, hwaddr, address, type, location;
};
LXDCORE_API_JSON(NetworkLease);
struct NetworkStateBridge {
    std::string id;
    bool stp = false;
    std::uint64_t forward_delay = 0, vlan_default = 0; ///< hundredths of a second; a VLAN id
    bool vlan_filtering = false;
    std::vector<std::string> upper_devices;
};
LXDCORE_API_JSON(NetworkStateBridge);
struct NetworkState {
    std::vector<NetworkAddress> addresses;
    NetworkCounters counters;
    std::string hwaddr;
    int mtu = 0; ///< bytes
    std::string state, type;
    std::optional<NetworkStateBridge> bridge;
};
LXDCORE_API_JSON(NetworkState);

// --- storage ---------------------------------------------------------------------------------------------------------

struct StoragePoolPut {
    StringMap config;
    std::string description;
};
LXDCORE_API_JSON(StoragePoolPut);
struct StoragePoolPatch {
    std::optional<StringMap> config;
    std::optional<std::string> description;
};
LXDCORE_API_JSON(StoragePoolPatch);
struct StoragePoolsPost : StoragePoolPut {
    std::string name, driver;
};
LXDCORE_API_JSON(StoragePoolsPost);
struct StoragePool : StoragePoolPut {
    std::string name, driver;
    std::vector<std::string> used_by;
    std::string status;
    std::vector<std::string> locations;
};
LXDCORE_API_JSON(StoragePool);
/// Bytes (of inodes: how many); total 0: no limit.
struct SpaceUse {
    std::uint64_t used = 0, total = 0;
};
LXDCORE_API_JSON(SpaceUse);
struct StoragePoolResources {
    SpaceUse space, inodes;
};
LXDCORE_API_JSON(StoragePoolResources);
struct StorageVolume {
    StringMap config;
    std::string description, restore;
    std::string name, type;
    std::vector<std::string> used_by;
    std::string location = "none", content_type = "filesystem", project = "default";
    Time created_at;
};
LXDCORE_API_JSON(StorageVolume);

// --- server, certificates, operations, events ------------------------------------------------------------------------

/// PUT and PATCH of /1.0. Values may be strings, booleans or whole numbers on the wire.
struct ServerPut {
    StringMap config;
};
LXDCORE_API_JSON(ServerPut);
struct CertificatePut {
    std::string name, type;
    bool restricted = false;
    std::vector<std::string> projects;
    std::string certificate;
};
LXDCORE_API_JSON(CertificatePut);
struct CertificatePatch {
    std::optional<std::string> name, type, certificate;
    std::optional<bool> restricted;
    std::optional<std::vector<std::string>> projects;
};
LXDCORE_API_JSON(CertificatePatch);
struct CertificatesPost : CertificatePut {
    std::string password;
    bool token = false;
};
LXDCORE_API_JSON(CertificatesPost);
struct Certificate : CertificatePut {
    std::string fingerprint;
};
LXDCORE_API_JSON(Certificate);

struct Operation; // see operation.hpp

} // namespace lxdcore::api
