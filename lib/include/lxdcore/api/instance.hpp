// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/api/status.hpp>
#include <lxdcore/api/types.hpp>

namespace lxdcore::api {

/// The editable part; its ETag covers [architecture, config, devices, ephemeral, profiles].
struct InstancePut {
    std::string architecture;
    StringMap config;
    Devices devices;
    bool ephemeral = false;
    std::vector<std::string> profiles;
    std::string restore;
    bool stateful = false;
    std::string description;
};
LXDCORE_API_JSON(InstancePut);

/// PATCH: what is absent stays; config and devices are merged key by key.
struct InstancePatch {
    std::optional<std::string> architecture;
    std::optional<StringMap> config;
    std::optional<Devices> devices;
    std::optional<bool> ephemeral;
    std::optional<std::vector<std::string>> profiles;
    std::optional<std::string> description;
    std::optional<std::string> restore;
};
LXDCORE_API_JSON(InstancePatch);

/// Where a new instance comes from: type is image, none, copy or migration.
struct InstanceSource {
    std::string type;
    std::string certificate;
    std::string alias;
    std::string fingerprint;
    StringMap properties;
    std::string server;
    std::string secret;
    std::string protocol;
    std::string base_image;
    std::string mode;
    std::string operation;
    StringMap secrets;
    std::string source;
    bool live = false;
    bool instance_only = false;
    bool container_only = false;
    bool refresh = false;
    std::string project;
    bool allow_inconsistent = false;
};
LXDCORE_API_JSON(InstanceSource);

struct InstancesPost : InstancePut {
    std::string name;
    InstanceSource source;
    std::string instance_type;
    std::string type;                                           ///< container (default) or virtual-machine
    std::optional<std::vector<std::string>> requested_profiles; ///< unset: those of the image or "default"
};
LXDCORE_API_JSON(InstancesPost);

struct InstancePost {
    std::string name;
    bool migration = false;
    bool live = false;
    bool instance_only = false;
    bool container_only = false;
    std::string pool;
    std::string project;
};
LXDCORE_API_JSON(InstancePost);

struct Instance : InstancePut {
    Time created_at;
    StringMap expanded_config;
    Devices expanded_devices;
    std::string name;
    Status status_code = Status::Stopped;
    std::string status = "Stopped";
    Time last_used_at;
    std::string location = "none";
    std::string type = "container";
    std::string project = "default";
};
LXDCORE_API_JSON(Instance);

struct InstanceStatePut {
    std::string action;
    int timeout = 0; ///< seconds that a clean stop may take; 0 or less: for ever
    bool force = false;
    bool stateful = false;
};
LXDCORE_API_JSON(InstanceStatePut);

/// Bytes; total 0: not told. By the name of the disk device.
struct InstanceStateDisk {
    std::int64_t usage = 0;
    std::int64_t total = 0;
};
LXDCORE_API_JSON(InstanceStateDisk);
/// Bytes; what is not counted is 0. total: the limit, or else all of the host.
struct InstanceStateMemory {
    std::int64_t usage = 0, usage_peak = 0, total = 0, swap_usage = 0, swap_usage_peak = 0;
};
LXDCORE_API_JSON(InstanceStateMemory);
/// family inet or inet6; netmask: the length of the prefix; scope local, link or global.
struct NetworkAddress {
    std::string family, address, netmask, scope;
};
LXDCORE_API_JSON(NetworkAddress);
struct NetworkCounters {
    std::int64_t bytes_received = 0, bytes_sent = 0, packets_received = 0, packets_sent = 0, errors_received = 0,
                 errors_sent = 0, packets_dropped_outbound = 0, packets_dropped_inbound = 0;
};
LXDCORE_API_JSON(NetworkCounters);
struct InstanceStateNetwork {
    std::vector<NetworkAddress> addresses;
    NetworkCounters counters;
    std::string hwaddr;
    std::string host_name;
    int mtu = 0;       ///< bytes
    std::string state; ///< up, down
    std::string type;  ///< broadcast, loopback, point-to-point, …
};
LXDCORE_API_JSON(InstanceStateNetwork);
struct InstanceState {
    Status status_code = Status::Stopped;
    std::string status = "Stopped";
    std::map<std::string, InstanceStateDisk> disk;
    InstanceStateMemory memory;
    std::optional<std::map<std::string, InstanceStateNetwork>> network; ///< null when stopped
    std::int64_t pid = 0;                                               ///< of its init on the host; 0 when stopped
    std::int64_t processes = 0;
    std::int64_t cpu_usage = 0; ///< nanoseconds
};
LXDCORE_API_JSON(InstanceState);

/// recursion=2: with the state; backups and snapshots are null while there are none.
struct InstanceFull : Instance {
    std::optional<InstanceState> state; ///< null when it could not be read
};
LXDCORE_API_JSON(InstanceFull);

struct InstanceExecPost {
    std::vector<std::string> command;
    bool wait_for_websocket = false;
    bool interactive = false; ///< on a terminal
    StringMap environment;
    int width = 0;              ///< columns of the terminal; 0: as the kernel makes it
    int height = 0;             ///< rows
    bool record_output = false; ///< into files, see the operation's metadata; at most 64 MiB each
    std::uint32_t user = 0;     ///< ids in the instance
    std::uint32_t group = 0;
    std::string cwd; ///< "": HOME of the environment, or /
};
LXDCORE_API_JSON(InstanceExecPost);

struct InstanceConsolePost {
    int width = 0;    ///< columns of the terminal; 0: as it is
    int height = 0;   ///< rows
    std::string type; ///< console (default), vga
};
LXDCORE_API_JSON(InstanceConsolePost);

} // namespace lxdcore::api
