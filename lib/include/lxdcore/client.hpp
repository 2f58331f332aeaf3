// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/event.hpp>
#include <lxdcore/operation.hpp>
#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/image_service.hpp>
#include <lxdcore/service/instance_metadata_service.hpp>
#include <lxdcore/service/instance_publish_service.hpp>
#include <lxdcore/service/instance_service.hpp>
#include <lxdcore/service/instance_snapshot_service.hpp>
#include <lxdcore/service/metrics_service.hpp>
#include <lxdcore/service/network_service.hpp>
#include <lxdcore/service/profile_service.hpp>
#include <lxdcore/service/server_service.hpp>
#include <lxdcore/service/storage_service.hpp>
#include <lxdcore/service/storage_volume_service.hpp>
#include <lxdcore/service/volume_backup_service.hpp>
#include <lxdcore/service/warning_service.hpp>

namespace lxdcore {

/// Which server a Client talks to, and as whom.
struct ClientOptions {
    /// "https://host[:port]" (port 8443), or "unix:///path/of/unix.socket". Empty: the socket of this host, below
    /// $LXD_DIR or /var/lib/lxd, or $LXD_SOCKET.
    std::string url;
    std::filesystem::path certificate, key; ///< HTTPS: our certificate and key, PEM files; empty: untrusted
    /// HTTPS: the one certificate that the server must show, a PEM file. Alternatively its fingerprint, 64 hex digits.
    /// Without either the server's name must be certified by an authority that this host trusts.
    std::filesystem::path server_certificate;
    std::string server_fingerprint;
    std::chrono::milliseconds connect_timeout{10'000}; ///< for a connection and its TLS handshake
    std::chrono::milliseconds timeout{0};              ///< longest wait for an answer to a request; 0: no limit
};

/// A daemon elsewhere (lxdcored, LXD 5.0), with the services of a Core: a program that takes services works with
/// either. Every call is a request to the server; operations are watched in the background, events arrive on the
/// client's thread. What makes no sense from afar throws Error Unsupported: OperationService::start() and create(),
/// publishing events, start_wanted(), stop_all().
///
/// Errors carry the server's text. Status 400 is InvalidArgument, because the wire does not tell a wrong request from a
/// wrong moment; a server that cannot be reached or goes away is Unavailable.
///
/// Thread-safe; services are valid as long as the Client. Calls wait, so none may be made from a callback of the client
/// (events, on_end): Error BadState. A child after fork() may only destroy its copy.
class LXDCORE_API Client {
public:
    /// Connects with the first call. @throws Error InvalidArgument for options that can never work, NotFound for a
    /// certificate that is not there
    explicit Client(ClientOptions options = {});
    /// Ends streams of events. Operations go on at the server; an OperationPtr that is still held keeps the connection
    /// and can be waited for.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// A service for each area.
    InstanceService& instances() noexcept;
    InstanceSnapshotService& instance_snapshots() noexcept;
    InstancePublishService& publishing() noexcept;
    InstanceMetadataService& instance_metadata() noexcept;
    BackupService& backups() noexcept;
    MetricsService& metrics() noexcept;
    ImageService& images() noexcept;
    ProfileService& profiles() noexcept;
    NetworkService& networks() noexcept;
    StorageService& storage() noexcept;
    StorageVolumeService& volumes() noexcept;
    VolumeBackupService& volume_backups() noexcept;
    ServerService& server() noexcept;
    WarningService& warnings() noexcept;
    OperationService& operations() noexcept;
    EventService& events() noexcept;

    /// Anything else of the REST API: the answer's metadata. @p body null: none; @p path begins with "/1.0". @throws
    /// Error of the server, see above; Unavailable, Internal for what is no answer of LXD, InvalidArgument for texts
    /// that are not UTF-8
    nlohmann::json request(const std::string& method, const std::string& path, const nlohmann::json& body);
    /// The same for what answers with an operation. @throws Error Internal for another answer, too
    OperationPtr request_operation(const std::string& method, const std::string& path, const nlohmann::json& body);
    /// Asks an HTTPS server to trust our certificate: a join token, or the trust password. @throws Error Forbidden for
    /// a wrong one, InvalidArgument when it is trusted already, and as request()
    void trust(const std::string& password);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lxdcore
