// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/api/instance.hpp>

#include <lxdcore/api/json_text.hpp>

#include "api/fields.hpp"
#include "api/text_writer.hpp"

namespace lxdcore::api {

namespace detail {

template <>
struct Fields<InstancePut> {
    static void of(auto&& field, auto& s) {
        field("architecture", s.architecture);
        field("config", s.config);
        field("devices", s.devices);
        field("ephemeral", s.ephemeral);
        field("profiles", s.profiles);
        field("restore", s.restore, omit_empty);
        field("stateful", s.stateful);
        field("description", s.description);
    }
};
template <>
struct Fields<InstancePatch> {
    static void of(auto&& field, auto& s) {
        field("architecture", s.architecture, omit_empty);
        field("config", s.config, omit_empty);
        field("devices", s.devices, omit_empty);
        field("ephemeral", s.ephemeral, omit_empty);
        field("profiles", s.profiles, omit_empty);
        field("description", s.description, omit_empty);
        field("restore", s.restore, omit_empty);
    }
};
template <>
struct Fields<InstanceSource> {
    static void of(auto&& field, auto& s) {
        field("type", s.type);
        field("certificate", s.certificate);
        field("alias", s.alias, omit_empty);
        field("fingerprint", s.fingerprint, omit_empty);
        field("properties", s.properties, omit_empty);
        field("server", s.server, omit_empty);
        field("secret", s.secret, omit_empty);
        field("protocol", s.protocol, omit_empty);
        field("base-image", s.base_image, omit_empty);
        field("mode", s.mode, omit_empty);
        field("operation", s.operation, omit_empty);
        field("secrets", s.secrets, omit_empty);
        field("source", s.source, omit_empty);
        field("live", s.live, omit_empty);
        field("instance_only", s.instance_only, omit_empty);
        field("container_only", s.container_only, omit_empty);
        field("refresh", s.refresh, omit_empty);
        field("project", s.project, omit_empty);
        field("allow_inconsistent", s.allow_inconsistent);
    }
};
template <>
struct Fields<InstancesPost> {
    static void of(auto&& field, auto& s) {
        Fields<InstancePut>::of(field, s);
        field("name", s.name);
        field("source", s.source);
        field("instance_type", s.instance_type);
        field("type", s.type);
    }
};
template <>
struct Fields<InstancePost> {
    static void of(auto&& field, auto& s) {
        field("name", s.name);
        field("migration", s.migration);
        field("live", s.live);
        field("instance_only", s.instance_only);
        field("container_only", s.container_only);
        field("pool", s.pool);
        field("project", s.project);
    }
};
template <>
struct Fields<Instance> {
    static void of(auto&& field, auto& s) {
        Fields<InstancePut>::of(field, s);
        field("created_at", s.created_at);
        field("expanded_config", s.expanded_config, omit_empty);
        field("expanded_devices", s.expanded_devices, omit_empty);
        field("name", s.name);
        field("status", s.status);
        field("status_code", s.status_code);
        field("last_used_at", s.last_used_at);
        field("location", s.location);
        field("type", s.type);
        field("project", s.project);
    }
};
template <>
struct Fields<InstanceStatePut> {
    static void of(auto&& field, auto& s) {
        field("action", s.action);
        field("timeout", s.timeout);
        field("force", s.force);
        field("stateful", s.stateful);
    }
};
template <>
struct Fields<InstanceStateDisk> {
    static void of(auto&& field, auto& s) { field("usage", s.usage); }
};
template <>
struct Fields<InstanceStateMemory> {
    static void of(auto&& field, auto& s) {
        field("usage", s.usage);
        field("usage_peak", s.usage_peak);
        field("swap_usage", s.swap_usage);
        field("swap_usage_peak", s.swap_usage_peak);
    }
};
template <>
struct Fields<NetworkAddress> {
    static void of(auto&& field, auto& s) {
        field("family", s.family);
        field("address", s.address);
        field("netmask", s.netmask);
        field("scope", s.scope);
    }
};
template <>
struct Fields<NetworkCounters> {
    static void of(auto&& field, auto& s) {
        field("bytes_received", s.bytes_received);
        field("bytes_sent", s.bytes_sent);
        field("packets_received", s.packets_received);
        field("packets_sent", s.packets_sent);
        field("errors_received", s.errors_received);
        field("errors_sent", s.errors_sent);
        field("packets_dropped_outbound", s.packets_dropped_outbound);
        field("packets_dropped_inbound", s.packets_dropped_inbound);
    }
};
template <>
struct Fields<InstanceStateNetwork> {
    static void of(auto&& field, auto& s) {
        field("addresses", s.addresses);
        field("counters", s.counters);
        field("hwaddr", s.hwaddr);
        field("host_name", s.host_name);
        field("mtu", s.mtu);
        field("state", s.state);
        field("type", s.type);
    }
};
/// cpu is an object of its own on the wire: {"usage": nanoseconds}.
struct CpuUse {
    std::int64_t usage = 0;
};
void to_json(nlohmann::json& json, const CpuUse& cpu) { json = {{"usage", cpu.usage}}; }
void from_json(const nlohmann::json& json, CpuUse& cpu) { Reader{json}("usage", cpu.usage); }

template <>
struct Fields<InstanceState> {
    static void of(auto&& field, auto& s) {
        field("status", s.status);
        field("status_code", s.status_code);
        field("disk", s.disk);
        field("memory", s.memory);
        field("network", s.network);
        field("pid", s.pid);
        field("processes", s.processes);
    }
};
template <>
struct Fields<InstanceExecPost> {
    static void of(auto&& field, auto& s) {
        field("command", s.command);
        field("wait-for-websocket", s.wait_for_websocket);
        field("interactive", s.interactive);
        field("environment", s.environment);
        field("width", s.width);
        field("height", s.height);
        field("record-output", s.record_output);
        field("user", s.user);
        field("group", s.group);
        field("cwd", s.cwd);
    }
};
template <>
struct Fields<InstanceConsolePost> {
    static void of(auto&& field, auto& s) {
        field("width", s.width);
        field("height", s.height);
        field("type", s.type);
    }
};

} // namespace detail

LXDCORE_API_DEFINE_JSON(InstancePut)
LXDCORE_API_DEFINE_JSON(InstancePatch)
LXDCORE_API_DEFINE_JSON(InstanceSource)
LXDCORE_API_DEFINE_JSON(InstancePost)
LXDCORE_API_DEFINE_JSON(Instance)
LXDCORE_API_DEFINE_JSON(InstanceStatePut)
LXDCORE_API_DEFINE_JSON(InstanceStateDisk)
LXDCORE_API_DEFINE_JSON(InstanceStateMemory)
LXDCORE_API_DEFINE_JSON(NetworkAddress)
LXDCORE_API_DEFINE_JSON(NetworkCounters)
LXDCORE_API_DEFINE_JSON(InstanceStateNetwork)
LXDCORE_API_DEFINE_JSON(InstanceExecPost)
LXDCORE_API_DEFINE_JSON(InstanceConsolePost)

void append_json(std::string& out, const Instance& value) {
    detail::TextWriter writer{out};
    detail::Fields<Instance>::of(writer, value);
    writer.end();
}

void to_json(nlohmann::json& json, const InstancesPost& value) {
    detail::Fields<InstancesPost>::of(detail::Writer{json}, value);
    // Unset is null on the wire: a server then takes the default profile, while an empty list means none.
    if (value.requested_profiles)
        json["profiles"] = *value.requested_profiles;
    else if (value.profiles.empty())
        json["profiles"] = nullptr;
}

void from_json(const nlohmann::json& json, InstancesPost& value) {
    const detail::Reader read{json};
    detail::Fields<InstancesPost>::of(read, value);
    read("profiles", value.requested_profiles);
}

void to_json(nlohmann::json& json, const InstanceState& value) {
    detail::Fields<InstanceState>::of(detail::Writer{json}, value);
    json["cpu"] = detail::CpuUse{value.cpu_usage};
}

void from_json(const nlohmann::json& json, InstanceState& value) {
    const detail::Reader read{json};
    detail::Fields<InstanceState>::of(read, value);
    detail::CpuUse cpu;
    read("cpu", cpu);
    value.cpu_usage = cpu.usage;
}

void to_json(nlohmann::json& json, const InstanceFull& value) {
    to_json(json, static_cast<const Instance&>(value));
    json["backups"] = nullptr;
    json["snapshots"] = nullptr;
    json["state"] = detail::write_value(value.state);
}

void from_json(const nlohmann::json& json, InstanceFull& value) {
    from_json(json, static_cast<Instance&>(value));
    detail::Reader{json}("state", value.state);
}

} // namespace lxdcore::api
