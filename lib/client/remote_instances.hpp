// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/instance_metadata_service.hpp>
#include <lxdcore/service/instance_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Instances of the server. Thread-safe.
class RemoteInstances final : public InstanceService, public InstanceMetadataService {
public:
    explicit RemoteInstances(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}

    std::vector<std::string> names(const std::string& project) const override;
    void each(const std::string& project, bool with_state, const Visit& visit) const override;
    api::Instance get(const InstanceRef& ref) const override;
    api::InstanceState state(const InstanceRef& ref) const override;

    OperationPtr create(const std::string& project, const api::InstancesPost& request) override;
    OperationPtr update(const InstanceRef& ref, const api::InstancePut& instance, const std::string& if_match) override;
    void patch(const InstanceRef& ref, const api::InstancePatch& instance, const std::string& if_match) override;
    OperationPtr rename(const InstanceRef& ref, const api::InstancePost& request) override;
    OperationPtr remove(const InstanceRef& ref) override;
    OperationPtr change_state(const InstanceRef& ref, const api::InstanceStatePut& request) override;
    OperationPtr change_all_states(const std::string& project, const api::InstanceStatePut& request) override;

    OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request) override;
    OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request,
                      const ExecStreams& streams) override;

    OperationPtr console(const InstanceRef& ref, int width, int height) override;
    std::string console_log(const InstanceRef& ref) const override;
    void clear_console_log(const InstanceRef& ref) override;
    std::vector<std::string> logs(const InstanceRef& ref) const override;
    int open_log(const InstanceRef& ref, const std::string& name) const override;
    void remove_log(const InstanceRef& ref, const std::string& name) override;

    InstanceFile pull_file(const InstanceRef& ref, const std::string& path, bool head_only) const override;
    void push_file(const InstanceRef& ref, const InstanceFilePush& push) override;
    void remove_file(const InstanceRef& ref, const std::string& path) override;

    std::shared_ptr<const int> sftp(const InstanceRef& ref) override;

    void start_wanted() override { not_from_afar(); }
    bool settled() const override { not_from_afar(); }
    void stop_all(std::chrono::seconds) override { not_from_afar(); }

    api::ImageMetadata metadata(const InstanceRef& ref) const override;
    void set_metadata(const InstanceRef& ref, const api::ImageMetadata& metadata, const std::string& if_match) override;
    void patch_metadata(const InstanceRef& ref, const nlohmann::json& changes, const std::string& if_match) override;
    std::vector<std::string> templates(const InstanceRef& ref) const override;
    std::string read_template(const InstanceRef& ref, const std::string& name) const override;
    void write_template(const InstanceRef& ref, const std::string& name, const std::string& content) override;
    void remove_template(const InstanceRef& ref, const std::string& name) override;

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
