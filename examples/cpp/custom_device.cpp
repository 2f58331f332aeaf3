// SPDX-License-Identifier: Apache-2.0
// A type of device that comes with the program: "secret", a file that only this instance sees, kept in memory while it
// runs. {type: secret, path: /run/secrets/token, value: …}
//   custom_device STATE_DIR IMAGE.tar.gz
#include <lxdcore/core.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

class Secret final : public DeviceType {
public:
    explicit Secret(std::string folder) : folder_{std::move(folder)} {
        if (::mkdir(folder_.c_str(), 0711) != 0 && errno != EEXIST) throw_errno("mkdir " + folder_);
    }
    std::vector<std::string> keys() const override { return {"path", "value"}; }
    void validate(const DeviceRequest& device) const override {
        for (const char* key : {"path", "value"})
            if (!device.config.contains(key) || device.config.at(key).empty())
                throw Error{ErrorCode::InvalidArgument, std::string{"A secret needs a "} + key};
    }
    DeviceStart start(const DeviceRequest& device) override {
        const auto file = place(device);
        const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0400);
        if (fd < 0) throw_errno("open " + file);
        const auto& value = device.config.at("value");
        const bool good = ::write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size()) &&
                          ::fchown(fd, static_cast<uid_t>(device.host_uid), static_cast<gid_t>(device.host_gid)) == 0;
        ::close(fd);
        if (!good) throw_errno("write " + file);
        DeviceStart start;
        start.mounts.push_back({file, device.config.at("path"), "none", {"bind", "ro", "create=file"}});
        return start;
    }
    void stopped(const DeviceRequest& device) override { ::unlink(place(device).c_str()); }

private:
    std::string place(const DeviceRequest& device) const {
        return folder_ + "/" + device.project + "_" + device.instance + "_" + device.name;
    }
    const std::string folder_;
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
    if (core.storage().names().empty()) {
        api::StoragePoolsPost pool;
        pool.name = "default";
        pool.driver = "dir";
        core.storage().create(pool);
    }
    api::InstancesPost request;
    request.name = "holder";
    request.source.type = "image";
    request.source.fingerprint = core.images().import_files({}, image, "")->result()["fingerprint"].get<std::string>();
    const AtEnd image_removed{[&] { core.images().remove("default", request.source.fingerprint)->result(); }};
    request.devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "default"}}},
                       {"token", {{"type", "secret"}, {"path", "/run/token"}, {"value", "abc123"}}}};
    core.instances().create("default", request)->result();
    const InstanceRef ref{"default", request.name};
    const AtEnd instance_removed{[&] { remove_instance(core, ref); }};
    api::InstanceStatePut state;
    state.action = "start";
    core.instances().change_state(ref, state)->result();

    api::InstanceExecPost exec;
    exec.command = {"sh", "-c", "cat /run/token; echo; echo x > /run/token || echo it is read-only"};
    core.instances().exec(ref, exec, {.in = -1, .out = STDOUT_FILENO, .err = -1})->result();
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
        options.device_types["secret"] = std::make_shared<Secret>("/run/lxdcore-secrets");
        Core core{options};
        run(core, argv[2]);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
