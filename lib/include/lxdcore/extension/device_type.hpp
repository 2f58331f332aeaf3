// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <lxdcore/api/types.hpp>
#include <lxdcore/error.hpp>

namespace lxdcore {

/// The device of one instance that a DeviceType is asked about. References are valid during the call.
struct DeviceRequest {
    const std::string& project;
    const std::string& instance;
    const std::string& name;                  ///< of the device
    const api::Device& config;                ///< its keys, "type" too
    const api::StringMap& instance_config;    ///< with that of the profiles
    const api::StringMap& remembered;         ///< what earlier calls asked to be kept
    bool privileged = false;                  ///< ids of the instance are those of the host
    std::uint64_t host_uid = 0, host_gid = 0; ///< what its root is on the host
    int init_pid = -1;                        ///< once it runs
};

/// Something of the host that an instance gets to see.
struct DeviceMount {
    std::string source; ///< absolute path on the host, or a name such as "tmpfs" with a fstype
    std::string target; ///< path in the instance
    std::string fstype = "none";
    std::vector<std::string> options{"bind", "create=file"}; ///< as lxc.mount.entry takes them: "ro", "create=dir"
};

/// What a device does for a start.
struct DeviceStart {
    std::vector<DeviceMount> mounts;
    /// Kept with the instance as volatile.<device>.<key>; of the keys that LXD knows: driver, host_name, id, name,
    /// uuid.
    /// "" forgets one.
    api::StringMap remember;
};

/// A type of device that a program adds to a Core (CoreOptions::device_types). Calls come from any thread, for
/// different instances at the same time: thread-safe. A throw of Error fails what was asked for, with its text.
class LXDCORE_API DeviceType {
public:
    virtual ~DeviceType();
    /// The keys that a device of the type may have, without "type".
    virtual std::vector<std::string> keys() const = 0;
    /// Before a configuration is stored and before each start. @throws Error InvalidArgument
    virtual void validate(const DeviceRequest& device) const = 0;
    /// Before the container runs. When something later fails, stopped() follows.
    virtual DeviceStart start(const DeviceRequest& device) = 0;
    /// The container has stopped, or never came up: repeatable clean-up. Also called for what an earlier process left.
    virtual void stopped(const DeviceRequest&) {}
    /// The device leaves the configuration.
    virtual void removed(const DeviceRequest&) {}
    /// It is added to, or taken from, a running instance. @throws Error BadState, which is what happens by default
    virtual void plug(const DeviceRequest& device);
    /// The same when it is taken from one.
    virtual void unplug(const DeviceRequest& device);
};

} // namespace lxdcore
