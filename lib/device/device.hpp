// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lxdcore/api/types.hpp>
#include <lxdcore/log.hpp>

#include "network/network_manager.hpp"
#include "storage/storage_manager.hpp"
#include "system/idmap.hpp"
#include "util/helper_program.hpp"
#include "util/rollback.hpp"

namespace lxdcore::device {

/// The instance as a device sees it; references are valid during the call only.
struct Target {
    std::string project, instance;
    const api::StringMap& expanded_config;
    const api::Devices& expanded_devices;
    const IdMap& idmap;       ///< empty: privileged
    std::string devices_path; ///< $LXD_DIR/devices/<instance>, exists, 0711
    int init_pid = -1;        ///< hot-plug: pid of the running init
    int init_pidfd = -1;
    network::NetworkManager& network;
    storage::StorageManager& storage;
    const Logger& log;
    const HelperProgram* helper = nullptr; ///< needed by hot-plug and unplug of disks
};

/// volatile.<device>.* of the instance: what the device must remember. "" unsets. Stored by the caller when the call
/// returns.
using Volatile = api::StringMap;

/// A network interface for liblxc to make at start: items of lxc.net.<n>., such as {"type","veth"},{"link","lxdbr0"}.
using NicItems = std::vector<std::pair<std::string, std::string>>;

/// A mount for liblxc to make at start, from an already opened and checked source.
struct MountItem {
    std::string source; ///< absolute, or /proc/self/fd-free path that only root can change
    std::string target; ///< relative to the root of the instance, without leading '/'
    std::string fstype = "none";
    std::vector<std::string> options; ///< "bind", "ro", "create=dir", …
};

/// What a device contributes to a start.
struct StartPlan {
    std::optional<NicItems> nic;
    std::vector<MountItem> mounts;
    Volatile set; ///< keys without the "volatile.<device>." prefix
};

/// One device of one instance. Thread-bound; made for each call from the expanded configuration.
class Device {
public:
    Device(std::string name, api::Device config) : name_{std::move(name)}, config_{std::move(config)} {}
    virtual ~Device() = default;
    const std::string& name() const noexcept { return name_; }
    const api::Device& config() const noexcept { return config_; }

    /// Beyond config::validate_devices: parents and sources exist, addresses are free. Error InvalidArgument or
    /// NotFound with LXD's text. @p for_profile: no instance is there to check against.
    virtual void validate(const Target& target, bool for_profile) = 0;
    /// Keys to fill in when the device is added, such as hwaddr. Without prefix. Throws where the device cannot be
    /// added as things are now (address taken, source missing): the caller puts LXD's "Failed add validation for device
    /// …" in front.
    virtual Volatile added(const Target&, const Volatile& current) { return current; }
    /// Before the container runs; @p undo gets what must be taken back if the start fails.
    virtual StartPlan start(const Target& target, const Volatile& current, Rollback& undo) = 0;
    /// The container runs: what can only be known now (host_name of a veth made by liblxc, …).
    virtual Volatile started(const Target&, const Volatile&) { return {}; }
    /// The container has stopped (or never came up): idempotent clean-up; returns keys to change ("" unsets).
    virtual Volatile stopped(const Target&, const Volatile&) { return {}; }
    /// The device leaves the configuration.
    virtual void removed(const Target&, const Volatile&) {}
    /// Hot-plug and unplug on a running container. Default: Error BadState.
    virtual Volatile plug(const Target& target, const Volatile& current);
    virtual Volatile unplug(const Target& target, const Volatile& current);
    /// True if the change from @p before to this configuration can be applied by update() without a re-plug.
    virtual bool can_update(const api::Device&) const { return false; }
    virtual void update(const Target&, const api::Device& /*before*/, const Volatile&) {}

protected:
    std::string name_;
    api::Device config_;
};

/// The name of the one root disk among expanded devices. @throws Error InvalidArgument "No root device could be found",
/// "More than one root device found"
std::string root_disk(const api::Devices& expanded);

/// @throws Error InvalidArgument for an unknown type, Unsupported for one of LXD's that is not offered yet.
std::unique_ptr<Device> make_device(const std::string& name, const api::Device& config);

} // namespace lxdcore::device
