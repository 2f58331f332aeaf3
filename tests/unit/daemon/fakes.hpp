// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include <nlohmann/json.hpp>

#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/guest_api.hpp>
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
#include <lxdcore/service/volume_backup_service.hpp>
#include <lxdcore/service/warning_service.hpp>

namespace lxdcore::test {

[[noreturn]] inline void not_here() { throw Error{ErrorCode::NotFound, "Instance not found"}; }

/// Every process is root of "c1", or whatever `caller` says.
class FakeGuests final : public GuestApi {
public:
    std::optional<Caller> caller = Caller{{"default", "c1"}, 1, true};
    bool enabled = true;
    std::function<void(const Event&)> receive;

    std::optional<Caller> find(const Process&) const override { return caller; }
    void check(const Caller&) const override {
        if (!enabled) throw Error{ErrorCode::Forbidden, "not authorized"};
    }
    api::StringMap config(const Caller&) const override { return {{"user.k", "v"}}; }
    std::string config(const Caller&, const std::string& key) const override {
        if (key != "user.k") throw Error{ErrorCode::NotFound, "not found"};
        return "v";
    }
    api::Devices devices(const Caller&) const override { return {{"eth0", {{"type", "nic"}}}}; }
    std::string meta_data(const Caller&) const override { return "#cloud-config\n"; }
    void check_images(const Caller&) const override { throw Error{ErrorCode::Forbidden, "not authorized"}; }
    std::unique_ptr<EventSubscription> subscribe(const Caller&, std::set<std::string>,
                                                 std::function<void(const Event&)> function) override {
        receive = std::move(function);
        return std::make_unique<EventSubscription>();
    }
};

/// One instance, "c1", whose files are one file.
class FakeInstances final : public InstanceService {
public:
    std::string pushed; ///< what the last push_file() read
    std::string file = "content";
    std::string note = "v"; ///< in its config
    OperationService* operations = nullptr;

    std::vector<std::string> names(const std::string&) const override { return {"c1"}; }
    void each(const std::string&, bool with_state, const Visit& visit) const override {
        const api::InstanceState state;
        visit(get({"default", "c1"}), with_state ? &state : nullptr);
    }
    api::Instance get(const InstanceRef& ref) const override {
        if (ref.name != "c1") not_here();
        api::Instance instance;
        instance.name = "c1";
        instance.config["user.k"] = note;
        return instance;
    }
    api::InstanceState state(const InstanceRef& ref) const override {
        get(ref);
        return {};
    }
    OperationPtr create(const std::string&, const api::InstancesPost&) override {
        return operations->start({}, [](OperationContext&) {});
    }
    OperationPtr update(const InstanceRef&, const api::InstancePut&, const std::string&) override { not_here(); }
    void patch(const InstanceRef&, const api::InstancePatch&, const std::string&) override {}
    OperationPtr rename(const InstanceRef&, const api::InstancePost&) override { not_here(); }
    OperationPtr remove(const InstanceRef&) override { not_here(); }
    OperationPtr change_state(const InstanceRef&, const api::InstanceStatePut&) override { not_here(); }
    OperationPtr change_all_states(const std::string&, const api::InstanceStatePut&) override { not_here(); }
    OperationPtr exec(const InstanceRef&, const api::InstanceExecPost&) override { not_here(); }
    OperationPtr exec(const InstanceRef&, const api::InstanceExecPost&, const ExecStreams&) override { not_here(); }
    OperationPtr console(const InstanceRef&, int, int) override { not_here(); }
    std::string console_log(const InstanceRef&) const override { return "log"; }
    void clear_console_log(const InstanceRef&) override {}
    std::vector<std::string> logs(const InstanceRef&) const override { return {"lxc.log"}; }
    int open_log(const InstanceRef&, const std::string&) const override { not_here(); }
    void remove_log(const InstanceRef&, const std::string&) override {}
    InstanceFile pull_file(const InstanceRef& ref, const std::string& path, bool) const override {
        get(ref);
        if (path == "/gone") throw Error{ErrorCode::NotFound, "No such file"};
        InstanceFile result;
        result.type = path == "/dir" ? "directory" : "file";
        result.mode = 0644;
        result.entries = {"a", "b"};
        int ends[2];
        if (::pipe(ends) != 0) not_here();
        [[maybe_unused]] const auto size = ::write(ends[1], file.data(), file.size());
        ::close(ends[1]);
        result.fd = std::shared_ptr<int>{new int{ends[0]}, [](int* fd) {
                                             ::close(*fd);
                                             delete fd;
                                         }};
        return result;
    }
    /// Sends back what it is told.
    std::shared_ptr<const int> sftp(const InstanceRef& ref) override {
        get(ref);
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) not_here();
        std::thread{[end = ends[1]] {
            char piece[4096];
            ssize_t size;
            while ((size = ::read(end, piece, sizeof piece)) > 0)
                if (::write(end, piece, static_cast<std::size_t>(size)) != size) break;
            ::close(end);
        }}.detach();
        return {new int{ends[0]}, [](const int* fd) {
                    ::close(*fd);
                    delete fd;
                }};
    }
    void push_file(const InstanceRef&, const InstanceFilePush& push) override {
        pushed.clear();
        char piece[4096];
        while (push.content_fd >= 0) {
            const auto size = ::read(push.content_fd, piece, sizeof piece);
            if (size <= 0) break;
            pushed.append(piece, static_cast<std::size_t>(size));
        }
    }
    void remove_file(const InstanceRef&, const std::string&) override {}
    void start_wanted() override {}
    bool settled() const override { return true; }
    void stop_all(std::chrono::seconds) override {}
};

/// Remembers what an upload wrote.
class FakeImages final : public ImageService {
public:
    OperationService* operations = nullptr;
    std::string metadata, rootfs;
    ImageUpload upload_seen;
    int finished = 0, abandoned = 0;

    std::vector<api::Image> list(const std::string& project, bool public_only) const override {
        std::vector<api::Image> images;
        for (const auto& fingerprint : fingerprints(project, public_only))
            images.emplace_back().fingerprint = fingerprint;
        return images;
    }
    std::vector<std::string> fingerprints(const std::string& project, bool public_only) const override {
        if (project != "default") return {};
        if (public_only) return {std::string(64, 'a')};
        return {std::string(64, 'a'), std::string(64, 'b')};
    }
    api::Image get(const std::string&, const std::string&, bool) const override {
        throw Error{ErrorCode::NotFound, "Image not found"};
    }
    std::unique_ptr<ImageSink> upload() override;
    OperationPtr import_files(const ImageUpload&, const std::string&, const std::string&) override { not_here(); }
    void update(const std::string&, const std::string&, const api::ImagePut&, const std::string&) override {}
    void patch(const std::string&, const std::string&, const api::ImagePatch&, const std::string&) override {}
    OperationPtr remove(const std::string&, const std::string&) override { not_here(); }
    std::vector<ExportFile> open_export(const std::string&, const std::string&, bool) override { not_here(); }
    OperationPtr create_secret(const std::string&, const std::string&) override { not_here(); }
    OperationPtr refresh(const std::string&, const std::string&) override { not_here(); }
    std::vector<api::ImageAlias> aliases(const std::string&) const override { return {}; }
    api::ImageAlias alias(const std::string&, const std::string& name, bool) const override {
        api::ImageAlias found;
        found.name = name;
        return found;
    }
    void create_alias(const std::string&, const api::ImageAlias&) override {}
    void update_alias(const std::string&, const std::string&, const api::ImageAliasPatch&,
                      const std::string&) override {}
    void rename_alias(const std::string&, const std::string&, const std::string&) override {}
    void remove_alias(const std::string&, const std::string&) override {}
};

class FakeSink final : public ImageSink {
public:
    explicit FakeSink(FakeImages& images) : images_{images} { images_.metadata = images_.rootfs = ""; }
    ~FakeSink() override {
        if (!done_) ++images_.abandoned;
    }
    void write_metadata(const char* data, std::size_t size) override { images_.metadata.append(data, size); }
    void write_rootfs(const char* data, std::size_t size) override { images_.rootfs.append(data, size); }
    OperationPtr finish(const ImageUpload& upload) override {
        done_ = true;
        ++images_.finished;
        images_.upload_seen = upload;
        return images_.operations->start({}, [](OperationContext&) {});
    }

private:
    FakeImages& images_;
    bool done_ = false;
};

inline std::unique_ptr<ImageSink> FakeImages::upload() { return std::make_unique<FakeSink>(*this); }

class FakeProfiles final : public ProfileService {
public:
    std::atomic<int> calls = 0;
    std::vector<api::Profile> list(const std::string&) const override { return {}; }
    std::vector<std::string> names(const std::string&) const override { return {}; }
    api::Profile get(const std::string&, const std::string&) const override {
        throw Error{ErrorCode::NotFound, "Profile not found"};
    }
    void create(const std::string&, const api::ProfilesPost&) override { ++calls; }
    void update(const std::string&, const std::string&, const api::ProfilePut&, const std::string&) override {
        ++calls;
    }
    void patch(const std::string&, const std::string&, const api::ProfilePatch&, const std::string&) override {
        ++calls;
    }
    void rename(const std::string&, const std::string&, const std::string&) override { ++calls; }
    void remove(const std::string&, const std::string&) override { ++calls; }
};

class FakeNetworks final : public NetworkService {
public:
    std::vector<api::Network> list(const std::string&) const override { return {}; }
    std::vector<std::string> names(const std::string&) const override { return {}; }
    api::Network get(const std::string&, const std::string&) const override {
        throw Error{ErrorCode::NotFound, "Network not found"};
    }
    void create(const std::string&, const api::NetworksPost&) override {}
    void update(const std::string&, const std::string&, const api::NetworkPut&, const std::string&) override {}
    void patch(const std::string&, const std::string&, const api::NetworkPatch&, const std::string&) override {}
    void rename(const std::string&, const std::string&, const std::string&) override {}
    void remove(const std::string&, const std::string&) override {}
    std::vector<api::NetworkLease> leases(const std::string&, const std::string&) const override { return {}; }
    api::NetworkState state(const std::string&, const std::string&) const override { return {}; }
    void stop_all() override {}
};

class FakeStorage final : public StorageService {
public:
    std::vector<api::StoragePool> list() const override { return {}; }
    std::vector<std::string> names() const override { return {}; }
    api::StoragePool get(const std::string&) const override {
        throw Error{ErrorCode::NotFound, "Storage pool not found"};
    }
    void create(const api::StoragePoolsPost&) override {}
    void update(const std::string&, const api::StoragePoolPut&, const std::string&) override {}
    void patch(const std::string&, const api::StoragePoolPatch&, const std::string&) override {}
    void remove(const std::string&) override {}
    api::StoragePoolResources resources(const std::string&) const override { return {}; }
    std::vector<api::StorageVolume> volumes(const std::string&, const std::string&, const std::string&) const override {
        return {};
    }
    api::StorageVolume volume(const std::string&, const std::string&, const std::string&,
                              const std::string&) const override {
        throw Error{ErrorCode::NotFound, "Storage volume not found"};
    }
};

class FakeBackups final : public BackupService {
public:
    std::vector<api::InstanceBackup> backups(const InstanceRef&) const override { return {}; }
    std::map<std::string, std::vector<api::InstanceBackup>> backups_by_instance(const std::string&) const override {
        return {};
    }
    api::InstanceBackup backup(const InstanceRef&, const std::string&) const override { return {}; }
    OperationPtr create_backup(const InstanceRef&, const api::InstanceBackupsPost&) override { return nullptr; }
    OperationPtr rename_backup(const InstanceRef&, const std::string&, const std::string&) override { return nullptr; }
    OperationPtr remove_backup(const InstanceRef&, const std::string&) override { return nullptr; }
    File open_backup(const InstanceRef&, const std::string&) override { return {}; }
    OperationPtr import_backup(const BackupImport&) override { return nullptr; }
    nlohmann::json find_lost(const nlohmann::json&) override { return {}; }
    void recover_lost(const nlohmann::json&) override {}
};

class FakeVolumes final : public StorageVolumeService {
public:
    std::vector<api::StorageVolume> list(const std::string&, const std::string&, const std::string&) const override {
        return {};
    }
    api::StorageVolume get(const VolumeRef&) const override { return {}; }
    api::StorageVolumeState state(const VolumeRef&) const override { return {}; }
    OperationPtr create(const std::string&, const std::string&, const api::StorageVolumesPost&) override {
        return nullptr;
    }
    void update(const VolumeRef&, const api::StorageVolumePut&, const std::string&) override {}
    void patch(const VolumeRef&, const api::StorageVolumePut&, const std::string&) override {}
    OperationPtr move(const VolumeRef&, const api::StorageVolumePost&) override { return nullptr; }
    void remove(const VolumeRef&) override {}
    std::vector<api::StorageVolumeSnapshot> snapshots(const VolumeRef&) const override { return {}; }
    api::StorageVolumeSnapshot snapshot(const VolumeRef&, const std::string&) const override { return {}; }
    OperationPtr create_snapshot(const VolumeRef&, const api::StorageVolumeSnapshotsPost&) override { return nullptr; }
    void update_snapshot(const VolumeRef&, const std::string&, const api::StorageVolumeSnapshotPut&,
                         const std::string&) override {}
    void patch_snapshot(const VolumeRef&, const std::string&, const api::StorageVolumeSnapshotPut&,
                        const std::string&) override {}
    OperationPtr rename_snapshot(const VolumeRef&, const std::string&, const api::StorageVolumeSnapshotPost&) override {
        return nullptr;
    }
    OperationPtr remove_snapshot(const VolumeRef&, const std::string&) override { return nullptr; }
};

class FakeVolumeBackups final : public VolumeBackupService {
public:
    std::vector<api::StorageVolumeBackup> backups(const VolumeRef&) const override { return {}; }
    api::StorageVolumeBackup backup(const VolumeRef&, const std::string&) const override { return {}; }
    OperationPtr create_backup(const VolumeRef&, const api::StorageVolumeBackupsPost&) override { return nullptr; }
    OperationPtr rename_backup(const VolumeRef&, const std::string&, const std::string&) override { return nullptr; }
    OperationPtr remove_backup(const VolumeRef&, const std::string&) override { return nullptr; }
    BackupService::File open_backup(const VolumeRef&, const std::string&) override { return {}; }
    OperationPtr import_backup(const VolumeImport&) override { return nullptr; }
};

class FakeMetadata final : public InstanceMetadataService {
public:
    api::ImageMetadata metadata(const InstanceRef&) const override { return {}; }
    void set_metadata(const InstanceRef&, const api::ImageMetadata&, const std::string&) override {}
    void patch_metadata(const InstanceRef&, const nlohmann::json&, const std::string&) override {}
    std::vector<std::string> templates(const InstanceRef&) const override { return {}; }
    std::string read_template(const InstanceRef&, const std::string&) const override { return {}; }
    void write_template(const InstanceRef&, const std::string&, const std::string&) override {}
    void remove_template(const InstanceRef&, const std::string&) override {}
};

class FakeSnapshots final : public InstanceSnapshotService {
public:
    std::vector<std::string> snapshot_names(const InstanceRef&) const override { return {}; }
    std::vector<api::InstanceSnapshot> snapshots(const InstanceRef&) const override { return {}; }
    std::map<std::string, std::vector<api::InstanceSnapshot>> snapshots_by_instance(const std::string&) const override {
        return {};
    }
    api::InstanceSnapshot snapshot(const InstanceRef&, const std::string&) const override { not_here(); }
    OperationPtr create_snapshot(const InstanceRef&, const api::InstanceSnapshotsPost&) override { not_here(); }
    OperationPtr update_snapshot(const InstanceRef&, const std::string&, const api::InstanceSnapshotPut&,
                                 const std::string&) override {
        not_here();
    }
    OperationPtr rename_snapshot(const InstanceRef&, const std::string&, const api::InstanceSnapshotPost&) override {
        not_here();
    }
    OperationPtr remove_snapshot(const InstanceRef&, const std::string&) override { not_here(); }

private:
    [[noreturn]] static void not_here() { throw Error{ErrorCode::NotFound, "Instance not found"}; }
};

class FakePublishing final : public InstancePublishService {
public:
    OperationPtr publish(const PublishRequest&) override { throw Error{ErrorCode::NotFound, "Instance not found"}; }
};

class FakeMetrics final : public MetricsService {
public:
    std::string metrics(const std::vector<std::string>&) override { return "# EOF\n"; }
};

class FakeWarnings final : public WarningService {
public:
    std::vector<api::Warning> list(const std::string&) const override { return {}; }
    api::Warning get(const std::string&) const override { throw Error{ErrorCode::NotFound, "Warning not found"}; }
    void set_status(const std::string&, const std::string&) override {}
    void remove(const std::string&) override {}
};

/// Trust store and settings in memory. Certificate and key are made by the TLS tests.
class FakeServer final : public ServerService {
public:
    std::map<std::string, api::Certificate> store;
    std::string certificate_path, key_path;
    std::string password = "right";
    std::vector<std::function<void(const api::StringMap&)>> listeners;

    api::StringMap config() const override { return {{"user.x", "1"}}; }
    std::string get(const std::string&) const override { return ""; }
    void set(const api::StringMap&, const std::string&) override {}
    void patch(const api::StringMap&, const std::string&) override {}
    std::string etag() const override { return "e"; }
    void on_change(std::function<void(const api::StringMap&)> listener) override {
        listeners.push_back(std::move(listener));
    }
    nlohmann::json environment() const override {
        return {{"api_extensions", {"etag"}},
                {"api_status", "stable"},
                {"api_version", "1.0"},
                {"public", false},
                {"environment", {{"server", "lxd"}}}};
    }
    std::vector<api::Certificate> certificates() const override { return {}; }
    api::Certificate certificate(const std::string& fingerprint) const override {
        const auto it = store.find(fingerprint);
        if (it == store.end()) throw Error{ErrorCode::NotFound, "Certificate not found"};
        return it->second;
    }
    api::Certificate add_certificate(const api::CertificatePut& certificate, const std::string&) override {
        api::Certificate added;
        static_cast<api::CertificatePut&>(added) = certificate;
        added.fingerprint = std::string(64, 'c');
        store[added.fingerprint] = added;
        return added;
    }
    void update_certificate(const std::string&, const api::CertificatePut&, const std::string&) override {}
    void rotate_certificate(const std::string&, const api::CertificatePut&, const std::string&) override {}
    OperationPtr issue_token(const api::CertificatesPost&) override {
        throw Error{ErrorCode::InvalidArgument, "Can't issue token when server isn't listening on network"};
    }
    std::optional<api::CertificatePut> redeem_token(const std::string&) override { return std::nullopt; }
    void remove_certificate(const std::string& fingerprint) override { store.erase(fingerprint); }
    std::optional<api::Certificate> trusted(const std::string& fingerprint) const override {
        const auto it = store.find(fingerprint);
        return it == store.end() ? std::nullopt : std::optional{it->second};
    }
    bool check_trust_password(const std::string& given) override { return given == password; }
    std::string server_certificate_path() const override { return certificate_path; }
    std::string server_key_path() const override { return key_path; }
    std::vector<api::Project> projects() const override {
        api::Project project;
        project.name = "default";
        return {project};
    }
    api::Project project(const std::string& name) const override {
        if (name != "default") throw Error{ErrorCode::NotFound, "Project not found"};
        return projects().front();
    }
    nlohmann::json resources() const override { return nlohmann::json::object(); }
};

} // namespace lxdcore::test
