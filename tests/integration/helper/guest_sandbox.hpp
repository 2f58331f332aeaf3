// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <lxdcore/event.hpp>
#include <lxdcore/log.hpp>
#include <lxdcore/operation.hpp>

#include "db/database.hpp"
#include "instance/guest.hpp"
#include "support/temp_dir.hpp"
#include "util/process.hpp"

namespace lxdcore::test {

/// Namespaces of a container without an image: 65536 users from the first that root may map, the host's files read-only
/// by ownership, own /proc and devpts. Enough to enter; needs no container runtime.
class GuestSandbox {
public:
    GuestSandbox();
    instance::RunningGuest running() const;
    const TempDir& dir() const { return dir_; } ///< writable in the guest

private:
    TempDir dir_;
    Process unshare_;
    int init_ = -1;
    std::shared_ptr<UniqueFd> pidfd_;
};

/// Guest access with the real services below it.
class GuestFixture {
public:
    GuestFixture();
    ~GuestFixture();
    instance::GuestAccess& access() { return *access_; }
    GuestSandbox& sandbox() { return sandbox_; }
    /// Runs to the end with recorded output; what the command wrote to stdout. @p code: its exit code
    std::string run(const api::InstanceExecPost& request, int* code = nullptr);
    std::string shell(const std::string& script, int* code = nullptr);

private:
    GuestSandbox sandbox_;
    TempDir state_;
    Logger log_;
    std::unique_ptr<EventService> events_;
    WorkerPool pool_{4};
    Reactor reactor_;
    std::unique_ptr<OperationService> operations_;
    std::unique_ptr<db::Database> local_, global_;
    Dir state_dir_;
    std::unique_ptr<storage::StorageManager> storage_;
    HelperProgram helper_;
    std::unique_ptr<instance::GuestAccess> access_;
};

} // namespace lxdcore::test
