// SPDX-License-Identifier: Apache-2.0
// A storage driver that comes with the program: pools in memory. Containers on one are fast and gone with the power.
//   custom_storage_driver STATE_DIR IMAGE.tar.gz
#include <lxdcore/core.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/mount.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

/// A pool of the driver "memory". Its one key is "size", as tmpfs takes it: "256m", "50%".
class MemoryPool final : public StorageBackend {
public:
    explicit MemoryPool(const api::StringMap& config) {
        if (const auto size = config.find("size"); size != config.end()) size_ = size->second;
    }
    void prepare(api::StringMap& config) const override {
        auto& size = config.emplace("size", "64m").first->second;
        for (const auto& [key, value] : config)
            if (key != "size") throw Error{ErrorCode::InvalidArgument, "A pool in memory has no option " + key};
        if (size.find_first_not_of("0123456789kmgKMG%") != std::string::npos)
            throw Error{ErrorCode::InvalidArgument, "Bad size: " + size};
    }
    void create() override {}
    void mount(const std::filesystem::path& place) override {
        const auto options = "mode=711,size=" + size_;
        if (::mount("lxdcore-memory", place.c_str(), "tmpfs", MS_NODEV, options.c_str()) != 0)
            throw_errno("mount a pool in memory");
    }
    void unmount(const std::filesystem::path& place) override {
        if (::umount2(place.c_str(), MNT_DETACH) != 0 && errno != EINVAL) throw_errno("unmount");
    }
    void destroy() override {}

private:
    std::string size_ = "64m";
};

/// Does something at the end of its scope, whatever happened there: another run finds nothing of this one.
class AtEnd {
public:
    explicit AtEnd(std::function<void()> work) : work_{std::move(work)} {}
    ~AtEnd() {
        try {
            work_();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "cleaning up: %s\n", error.what());
        }
    }
    AtEnd(const AtEnd&) = delete;
    AtEnd& operator=(const AtEnd&) = delete;

private:
    const std::function<void()> work_;
};

void remove_instance(Core& core, const InstanceRef& ref) {
    if (core.instances().get(ref).status_code != api::Status::Stopped) {
        api::InstanceStatePut state;
        state.action = "stop";
        state.force = true;
        core.instances().change_state(ref, state)->result();
    }
    core.instances().remove(ref)->result();
}

void run(Core& core, const std::string& image) {
    api::StoragePoolsPost pool;
    pool.name = "ram";
    pool.driver = "memory";
    pool.config = {{"size", "128m"}};
    core.storage().create(pool);
    const AtEnd pool_removed{[&] { core.storage().remove("ram"); }};

    api::InstancesPost request;
    request.name = "fast";
    request.source.type = "image";
    request.source.fingerprint = core.images().import_files({}, image, "")->result()["fingerprint"].get<std::string>();
    const AtEnd image_removed{[&] { core.images().remove("default", request.source.fingerprint)->result(); }};
    request.devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "ram"}}}};
    core.instances().create("default", request)->result();
    const InstanceRef ref{"default", "fast"};
    const AtEnd instance_removed{[&] { remove_instance(core, ref); }};
    api::InstanceStatePut state;
    state.action = "start";
    core.instances().change_state(ref, state)->result();

    api::InstanceExecPost exec;
    exec.command = {"sh", "-c", "df -T / 2> /dev/null || grep ' / ' /proc/mounts"};
    core.instances().exec(ref, exec, {.in = -1, .out = STDOUT_FILENO, .err = STDERR_FILENO})->result();
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s STATE_DIR IMAGE\n", argv[0]);
        return 2;
    }
    try {
        CoreOptions options;
        options.state_dir = argv[1];
        if (const char* helper = std::getenv("LXDCORE_HELPER")) options.helper = helper;
        options.storage_drivers["memory"] = [](const std::string&, const api::StringMap& config) {
            return std::make_unique<MemoryPool>(config);
        };
        Core core{options};
        run(core, argv[2]);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
