// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "device/device.hpp"

namespace lxdcore::device {

/// What all veth NICs share. At start liblxc makes the pair; hot-plug makes it here.
class Nic : public Device {
public:
    using Device::Device;
    Volatile added(const Target& target, const Volatile& current) override;
    StartPlan start(const Target& target, const Volatile& current, Rollback& undo) override;
    Volatile started(const Target& target, const Volatile& current) override;
    Volatile stopped(const Target& target, const Volatile& current) override;
    Volatile plug(const Target& target, const Volatile& current) override;
    Volatile unplug(const Target& target, const Volatile& current) override;
    bool can_update(const api::Device& before) const override;
    void update(const Target& target, const api::Device& before, const Volatile& current) override;

protected:
    /// Keys that update() can change while the instance runs.
    virtual std::vector<std::string> updatable() const;
    std::string value(const std::string& key) const;
    std::string mac(const Volatile& current) const;
    void validate_common(const Target& target) const;
    /// The bridge to attach to; "" for none. @throws when it is not there.
    virtual std::string bridge(const Target&) const { return ""; }
    virtual unsigned mtu(const Target& target) const;
    /// The network must know this NIC before it asks for an address.
    virtual void announce(const Target&, const Volatile&) const {}
    /// Keys that hold routes of the host towards this NIC go to @p host_name or the bridge.
    void set_host_side(const Target& target, const std::string& host_name) const;

private:
    std::string interface_name(const Target& target, const Volatile& current) const;
    Volatile prepare(const Target& target, const Volatile& current) const;
    /// limits.* on the host's end; with @p limited_before also none.
    void apply_rate(const Target& target, const std::string& host_name, bool limited_before) const;
};

/// nictype=bridged, or network=<managed bridge>.
class NicBridged final : public Nic {
public:
    using Nic::Nic;
    void validate(const Target& target, bool for_profile) override;
    Volatile added(const Target& target, const Volatile& current) override;
    void removed(const Target& target, const Volatile& current) override;
    void update(const Target& target, const api::Device& before, const Volatile& current) override;

protected:
    std::vector<std::string> updatable() const override;
    std::string bridge(const Target& target) const override;
    unsigned mtu(const Target& target) const override;
    void announce(const Target& target, const Volatile& current) const override;

private:
    std::string managed(const Target& target) const; ///< the managed network, "" when the parent is none
    network::NicRecord record(const Target& target, const Volatile& current) const;
    void validate_addresses(const Target& target) const;
    void validate_address(const Target& target, const std::string& network, const std::string& family) const;
    void check_free(const Target& target, const Volatile& current) const;
};

/// nictype=p2p: a pair between host and instance.
class NicP2p final : public Nic {
public:
    using Nic::Nic;
    void validate(const Target& target, bool for_profile) override;
};

} // namespace lxdcore::device
