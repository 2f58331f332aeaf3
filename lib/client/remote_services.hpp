// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/metrics_service.hpp>
#include <lxdcore/service/network_service.hpp>
#include <lxdcore/service/profile_service.hpp>
#include <lxdcore/service/storage_service.hpp>
#include <lxdcore/service/warning_service.hpp>

#include "client/rest.hpp"

/// The smaller services of a server. All thread-safe.
namespace lxdcore::client {

class RemoteProfiles final : public ProfileService {
public:
    explicit RemoteProfiles(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::Profile> list(const std::string& project) const override;
    std::vector<std::string> names(const std::string& project) const override;
    api::Profile get(const std::string& project, const std::string& name) const override;
    void create(const std::string& project, const api::ProfilesPost& profile) override;
    void update(const std::string& project, const std::string& name, const api::ProfilePut& profile,
                const std::string& if_match) override;
    void patch(const std::string& project, const std::string& name, const api::ProfilePatch& profile,
               const std::string& if_match) override;
    void rename(const std::string& project, const std::string& name, const std::string& new_name) override;
    void remove(const std::string& project, const std::string& name) override;

private:
    std::shared_ptr<Rest> rest_;
};

class RemoteNetworks final : public NetworkService {
public:
    explicit RemoteNetworks(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::Network> list(const std::string& project) const override;
    std::vector<std::string> names(const std::string& project) const override;
    api::Network get(const std::string& project, const std::string& name) const override;
    void create(const std::string& project, const api::NetworksPost& network) override;
    void update(const std::string& project, const std::string& name, const api::NetworkPut& network,
                const std::string& if_match) override;
    void patch(const std::string& project, const std::string& name, const api::NetworkPatch& network,
               const std::string& if_match) override;
    void rename(const std::string& project, const std::string& name, const std::string& new_name) override;
    void remove(const std::string& project, const std::string& name) override;
    std::vector<api::NetworkLease> leases(const std::string& project, const std::string& name) const override;
    api::NetworkState state(const std::string& project, const std::string& name) const override;
    void stop_all() override { not_from_afar(); }

private:
    std::shared_ptr<Rest> rest_;
};

class RemoteStorage final : public StorageService {
public:
    explicit RemoteStorage(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::StoragePool> list() const override;
    std::vector<std::string> names() const override;
    api::StoragePool get(const std::string& name) const override;
    void create(const api::StoragePoolsPost& pool) override;
    void update(const std::string& name, const api::StoragePoolPut& pool, const std::string& if_match) override;
    void patch(const std::string& name, const api::StoragePoolPatch& pool, const std::string& if_match) override;
    void remove(const std::string& name) override;
    api::StoragePoolResources resources(const std::string& name) const override;
    std::vector<api::StorageVolume> volumes(const std::string& pool, const std::string& project,
                                            const std::string& type) const override;
    api::StorageVolume volume(const std::string& pool, const std::string& project, const std::string& type,
                              const std::string& name) const override;

private:
    std::shared_ptr<Rest> rest_;
};

class RemoteWarnings final : public WarningService {
public:
    explicit RemoteWarnings(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::vector<api::Warning> list(const std::string& project) const override;
    api::Warning get(const std::string& uuid) const override;
    void set_status(const std::string& uuid, const std::string& status) override;
    void remove(const std::string& uuid) override;

private:
    std::shared_ptr<Rest> rest_;
};

class RemoteMetrics final : public MetricsService {
public:
    explicit RemoteMetrics(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    std::string metrics(const std::vector<std::string>& projects) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
