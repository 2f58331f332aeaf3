// SPDX-License-Identifier: Apache-2.0
#include "guest_sandbox.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "event/event_hub.hpp"
#include "operation/operation_manager.hpp"
#include "support/memory_db.hpp"
#include "support/root_ids.hpp"

namespace lxdcore::test {

namespace {

/// The guest's init: the only child of unshare, once it has said that its mounts are there.
int init_of(pid_t parent, const std::filesystem::path& ready) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(std::chrono::milliseconds{10})) {
        if (!std::filesystem::exists(ready)) continue;
        const auto id = std::to_string(parent);
        return std::stoi(read_file("/proc/" + id + "/task/" + id + "/children"));
    }
    throw std::runtime_error{"the sandbox did not start"};
}

} // namespace

GuestSandbox::GuestSandbox() {
    ::chmod(dir_.path().c_str(), 0777);
    SpawnOptions options;
    const auto map = std::to_string(test::first_root_id()) + ",0,65536";
    options.argv = {"unshare",
                    "--user",
                    "--map-users=" + map,
                    "--map-groups=" + map,
                    "--mount",
                    "--pid",
                    "--fork",
                    "--net",
                    "--ipc",
                    "--uts",
                    "--cgroup",
                    "--kill-child",
                    "--setuid",
                    "0",
                    "--setgid",
                    "0",
                    "sh",
                    "-c",
                    "mount -t proc proc /proc && mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts "
                    "&& : > \"$1\" && exec sleep 1000",
                    "init",
                    dir_ / "ready"};
    unshare_ = spawn(options);
    init_ = init_of(unshare_.pid(), dir_ / "ready");
    pidfd_ = std::make_shared<UniqueFd>(static_cast<int>(::syscall(SYS_pidfd_open, init_, 0)));
}

instance::RunningGuest GuestSandbox::running() const {
    instance::RunningGuest guest;
    guest.ref = {"default", "sandbox"};
    guest.init_pid = init_;
    guest.init_pidfd = pidfd_;
    guest.log_path = dir_.path();
    return guest;
}

GuestFixture::GuestFixture()
    : events_{make_event_service()}, operations_{make_operation_service(*events_, pool_, reactor_, log_)},
      local_{memory_local()}, global_{memory_global()}, state_dir_{Dir::open(state_.path())},
      storage_{storage::make_storage_manager(*local_, *global_, state_dir_, *events_, log_)}, helper_{std::getenv(
                                                                                                  "LXDCORE_HELPER")},
      access_{instance::make_guest_access({*operations_, *events_, *storage_, helper_, reactor_, pool_, log_})} {}

GuestFixture::~GuestFixture() { access_->forget(sandbox_.running().ref); }

std::string GuestFixture::run(const api::InstanceExecPost& request, int* code) {
    auto recorded = request;
    recorded.record_output = true;
    const auto operation = access_->exec(sandbox_.running(), recorded);
    if (!operation->wait(std::chrono::seconds{60})) throw std::runtime_error{"the command did not end"};
    const auto metadata = operation->to_json().at("metadata");
    if (code != nullptr) *code = metadata.at("return").get<int>();
    return read_file(sandbox_.dir() / ("exec_" + operation->id() + ".stdout"));
}

std::string GuestFixture::shell(const std::string& script, int* code) {
    api::InstanceExecPost request;
    request.command = {"/bin/sh", "-c", script};
    return run(request, code);
}

} // namespace lxdcore::test
