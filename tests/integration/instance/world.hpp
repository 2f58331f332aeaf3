// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include <lxdcore/core.hpp>

#include "support/temp_dir.hpp"
#include "test_data_path.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

namespace lxdcore::test {

/// A Core on a directory of its own with a `dir` pool, the busybox image under the alias "bb" and a default profile
/// with nothing but a root disk. Containers that are left are killed at the end.
class World {
public:
    World() {
        // Root inside has no rights here and must pass through.
        std::filesystem::permissions(dir_.path(), std::filesystem::perms{0711});
        open();
        core().storage().create(pool());
        api::ProfilePatch profile;
        profile.devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "default"}}}};
        core().profiles().patch("default", "default", profile, "");
        ImageUpload upload;
        upload.aliases = {{"bb", ""}};
        finish(core().images().import_files(upload, busybox_image(), ""));
    }
    ~World() {
        if (!core_) open();
        for (const auto& name : core().instances().names("default")) {
            auto stop = act(name, "stop", true);
            stop->wait();
            core().instances().remove(ref(name))->wait();
        }
    }

    Core& core() { return *core_; }
    InstanceService& instances() { return core_->instances(); }
    void open(const std::function<void(CoreOptions&)>& change = {}) {
        auto chosen = options(dir_.path());
        if (change) change(chosen);
        core_ = std::make_unique<Core>(std::move(chosen));
    }
    void close() { core_.reset(); }
    const std::filesystem::path& path() const { return dir_.path(); }

    static CoreOptions options(const std::filesystem::path& state_dir) {
        CoreOptions out;
        out.state_dir = state_dir;
        if (const char* helper = std::getenv("LXDCORE_HELPER")) out.helper = helper;
        return out;
    }
    static InstanceRef ref(const std::string& name) { return {"default", name}; }
    static void finish(const OperationPtr& operation) {
        operation->wait();
        INFO(operation->error());
        REQUIRE(operation->status() == api::Status::Success);
    }

    static api::InstancesPost post(const std::string& name) {
        api::InstancesPost request;
        request.name = name;
        request.source.type = "image";
        request.source.alias = "bb";
        return request;
    }
    void create(const std::string& name, const api::StringMap& config = {}, bool ephemeral = false) {
        auto request = post(name);
        request.config = config;
        request.ephemeral = ephemeral;
        finish(instances().create("default", request));
    }
    OperationPtr act(const std::string& name, const std::string& action, bool force = false, int timeout = 0) {
        api::InstanceStatePut request;
        request.action = action;
        request.force = force;
        request.timeout = timeout;
        return instances().change_state(ref(name), request);
    }
    void start(const std::string& name) { finish(act(name, "start")); }
    void stop(const std::string& name) { finish(act(name, "stop", true)); }
    void remove(const std::string& name) { finish(instances().remove(ref(name))); }
    void set(const std::string& name, const api::StringMap& config) {
        api::InstancePatch patch;
        patch.config = config;
        instances().patch(ref(name), patch, "");
    }
    std::string config(const std::string& name, const std::string& key) {
        return instances().get(ref(name)).config[key];
    }
    int pid(const std::string& name) { return static_cast<int>(instances().state(ref(name)).pid); }
    api::Status status(const std::string& name) { return instances().get(ref(name)).status_code; }
    /// Runs a shell line inside and gives its exit code.
    int run(const std::string& name, const std::string& line) {
        api::InstanceExecPost request;
        request.command = {"sh", "-c", line};
        const auto operation = instances().exec(ref(name), request, InstanceService::ExecStreams{});
        operation->wait();
        return operation->to_json()["metadata"].value("return", -1);
    }

private:
    static api::StoragePoolsPost pool() {
        api::StoragePoolsPost out;
        out.name = "default";
        out.driver = "dir";
        return out;
    }
    /// Made once by the script that all tests share.
    static std::string busybox_image() {
        static TempDir cache;
        const auto file = (cache / "busybox.tar.gz").string();
        const auto script = std::filesystem::path{LXDCORE_TEST_DATA}.parent_path() / "support/image-busybox";
        if (!std::filesystem::exists(file)) run_checked({script.string(), file});
        return file;
    }

    TempDir dir_;
    std::unique_ptr<Core> core_;
};

/// Polls until @p condition holds; false after ten seconds, the bound of R50.
template <typename Condition>
bool soon(Condition&& condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return false;
}

} // namespace lxdcore::test
