// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "event/event_hub.hpp"
#include "operation/operation_manager.hpp"
#include "util/reactor.hpp"
#include "util/worker_pool.hpp"

#include "server.hpp"

#include "fakes.hpp"

namespace lxdcore::test {

/// A directory of its own, removed at the end.
class TempDir {
public:
    TempDir();
    ~TempDir();
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// The HTTP side of the daemon on a socket in a temporary directory, with fake services behind it.
struct TestDaemon {
    explicit TestDaemon(daemon::Limits limits = {});
    ~TestDaemon();
    std::string socket() const { return (dir.path() / "unix.socket").string(); }

    TempDir dir;
    WorkerPool pool{4};
    Reactor reactor;
    std::unique_ptr<EventService> events = make_event_service();
    Logger log;
    std::unique_ptr<OperationService> operations = make_operation_service(*events, pool, reactor, log);
    FakeGuests guests;
    FakeInstances instances;
    FakeImages images;
    FakeProfiles profiles;
    FakeNetworks networks;
    FakeStorage storage;
    FakeVolumes volumes;
    FakeServer settings;
    FakeBackups backups;
    FakeVolumeBackups volume_backups;
    FakeMetadata metadata;
    FakeSnapshots snapshots;
    FakePublishing publishing;
    FakeMetrics metrics;
    FakeWarnings warnings;
    std::atomic<bool> asked_to_stop = false;
    std::unique_ptr<daemon::Server> server;
};

struct Reply {
    int status = 0; ///< 0: the connection ended without an answer
    std::string head, body;
    nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
    std::string error() const { return json().value("error", ""); }
};

/// One connection of a client that writes what it likes.
class RawClient {
public:
    explicit RawClient(const std::string& socket);
    explicit RawClient(int fd) : fd_{fd} {}
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool send(std::string_view text); ///< false once the daemon has closed
    Reply receive(bool head_only = false);
    /// True if the daemon closes within a few seconds without sending anything more.
    bool closed();
    std::string receive_some(); ///< "" at the end
    int fd() const { return fd_; }

private:
    int fd_ = -1;
    std::string buffer_;
};

/// One request on a connection of its own.
Reply ask(const std::string& socket, const std::string& method, const std::string& target, const std::string& body = "",
          const std::string& headers = "");

} // namespace lxdcore::test
