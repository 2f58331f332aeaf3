// SPDX-License-Identifier: Apache-2.0
// A container without any daemon: launches one from an image file in this process, runs a command in it, removes it.
//   launch_and_exec STATE_DIR IMAGE.tar.gz [COMMAND…]
#include <lxdcore/core.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

/// A pool in the state directory, and a default profile with nothing but a root disk on it.
void prepare(Core& core) {
    if (core.storage().names().empty()) {
        api::StoragePoolsPost pool;
        pool.name = "default";
        pool.driver = "dir";
        core.storage().create(pool);
    }
    api::ProfilePatch profile;
    profile.devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "default"}}}};
    core.profiles().patch("default", "default", profile, "");
}

/// The fingerprint of the image; importing the same file again is not an error of ours.
std::string image(Core& core, const std::string& file) {
    const auto known = core.images().fingerprints("default", false);
    if (!known.empty()) return known.front();
    return core.images().import_files({}, file, "")->result()["fingerprint"].get<std::string>();
}

/// Removes the container at the end of its scope, whatever happened there.
class Removed {
public:
    Removed(InstanceService& instances, InstanceRef ref) : instances_{instances}, ref_{std::move(ref)} {}
    ~Removed() {
        try {
            if (instances_.get(ref_).status_code == api::Status::Stopped) {
                instances_.remove(ref_)->result();
                return;
            }
            api::InstanceStatePut state;
            state.action = "stop";
            state.force = true;
            instances_.change_state(ref_, state)->result(); // it is ephemeral
        } catch (const std::exception&) {                   // it has gone by itself
        }
    }
    Removed(const Removed&) = delete;
    Removed& operator=(const Removed&) = delete;

private:
    InstanceService& instances_;
    const InstanceRef ref_;
};

int launch_and_exec(Core& core, const std::string& file, const std::vector<std::string>& command) {
    prepare(core);
    api::InstancesPost request;
    request.source.type = "image";
    request.source.fingerprint = image(core, file);
    request.ephemeral = true; // removed when it stops
    request.name = "example-" + std::to_string(::getpid());
    const InstanceRef ref{"default", request.name};

    auto& instances = core.instances();
    instances.create("default", request)->result();
    const Removed removed{instances, ref};
    api::InstanceStatePut state;
    state.action = "start";
    instances.change_state(ref, state)->result();

    api::InstanceExecPost exec;
    exec.command = command;
    const auto result =
        instances.exec(ref, exec, {.in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO})->result();
    return result.value("return", 1);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s STATE_DIR IMAGE [COMMAND...]\n", argv[0]);
        return 2;
    }
    std::vector<std::string> command{argv + 3, argv + argc};
    if (command.empty()) command = {"/bin/sh", "-c", "echo \"Hello from $(hostname), process $$\""};
    try {
        CoreOptions options;
        options.state_dir = argv[1];
        options.log = [](const LogRecord& record) {
            if (record.level >= LogLevel::Warning) std::fprintf(stderr, "%s\n", record.message.c_str());
        };
        if (const char* helper = std::getenv("LXDCORE_HELPER")) options.helper = helper;
        Core core{options};
        return launch_and_exec(core, argv[2], command);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
