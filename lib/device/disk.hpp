// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "device/device.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::device {

/// The root disk, and host paths and custom volumes bound into the instance. A source is opened once, and that very
/// object is mounted below devices_path: what happens to the path afterwards has no effect (R15).
class Disk final : public Device {
public:
    using Device::Device;
    void validate(const Target& target, bool for_profile) override;
    Volatile added(const Target& target, const Volatile& current) override;
    StartPlan start(const Target& target, const Volatile& current, Rollback& undo) override;
    Volatile stopped(const Target& target, const Volatile& current) override;
    Volatile plug(const Target& target, const Volatile& current) override;
    Volatile unplug(const Target& target, const Volatile& current) override;
    bool can_update(const api::Device& before) const override;
    void update(const Target& target, const api::Device& before, const Volatile& current) override;

private:
    std::string value(const std::string& key) const;
    bool flag(const std::string& key) const;
    bool is_root() const;
    bool required() const;
    std::string inside() const; ///< path in the instance without leading '/'
    struct Source {
        std::shared_ptr<const void> mount = {}; ///< of a volume
        UniqueFd fd;
        bool shift = false; ///< to be mounted with the id map of the instance
    };
    bool is_volume() const; ///< a custom volume of a pool, not a path of the host
    void check_volume(const Target& target) const;
    std::optional<Source> open_source(const Target& target) const;
    std::optional<Source> open_volume(const Target& target) const;
    std::optional<UniqueFd> open_path() const;
    UniqueFd clone_source(const UniqueFd& source) const; ///< a detached mount of it
    std::string mount_name() const { return "disk." + name_; }
};

} // namespace lxdcore::device
