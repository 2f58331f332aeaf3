// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/client.hpp>

#include "client/remote_backups.hpp"
#include "client/remote_events.hpp"
#include "client/remote_images.hpp"
#include "client/remote_instances.hpp"
#include "client/remote_operation.hpp"
#include "client/remote_server.hpp"
#include "client/remote_services.hpp"
#include "client/remote_snapshots.hpp"
#include "client/remote_volume_backups.hpp"
#include "client/remote_volumes.hpp"

namespace lxdcore {

struct Client::Impl {
    explicit Impl(const ClientOptions& options) : rest{client::Rest::make(options)} {}
    std::shared_ptr<client::Rest> rest;
    client::RemoteInstances instances{rest};
    client::RemoteSnapshots snapshots{rest};
    client::RemoteBackups backups{rest};
    client::RemoteMetrics metrics{rest};
    client::RemoteImages images{rest};
    client::RemoteProfiles profiles{rest};
    client::RemoteNetworks networks{rest};
    client::RemoteStorage storage{rest};
    client::RemoteVolumes volumes{rest};
    client::RemoteVolumeBackups volume_backups{rest};
    client::RemoteServer server{rest};
    client::RemoteWarnings warnings{rest};
    client::RemoteOperations operations{rest};
    client::RemoteEvents events{rest};
};

Client::Client(ClientOptions options) : impl_{std::make_unique<Impl>(options)} {}
Client::~Client() = default;

InstanceService& Client::instances() noexcept { return impl_->instances; }
InstanceSnapshotService& Client::instance_snapshots() noexcept { return impl_->snapshots; }
InstancePublishService& Client::publishing() noexcept { return impl_->snapshots; }
InstanceMetadataService& Client::instance_metadata() noexcept { return impl_->instances; }
BackupService& Client::backups() noexcept { return impl_->backups; }
MetricsService& Client::metrics() noexcept { return impl_->metrics; }
ImageService& Client::images() noexcept { return impl_->images; }
ProfileService& Client::profiles() noexcept { return impl_->profiles; }
NetworkService& Client::networks() noexcept { return impl_->networks; }
StorageService& Client::storage() noexcept { return impl_->storage; }
StorageVolumeService& Client::volumes() noexcept { return impl_->volumes; }
VolumeBackupService& Client::volume_backups() noexcept { return impl_->volume_backups; }
ServerService& Client::server() noexcept { return impl_->server; }
WarningService& Client::warnings() noexcept { return impl_->warnings; }
OperationService& Client::operations() noexcept { return impl_->operations; }
EventService& Client::events() noexcept { return impl_->events; }

nlohmann::json Client::request(const std::string& method, const std::string& path, const nlohmann::json& body) {
    return impl_->rest->call(method, client::Url{path}, body);
}

OperationPtr Client::request_operation(const std::string& method, const std::string& path, const nlohmann::json& body) {
    return impl_->rest->start(method, client::Url{path}, body);
}

void Client::trust(const std::string& password) {
    request("POST", "/1.0/certificates", {{"type", "client"}, {"password", password}});
}

} // namespace lxdcore
