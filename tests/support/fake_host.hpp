// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>

#include "storage/block_content.hpp"
#include "storage/tools/host.hpp"
#include "support/fake_tools.hpp"
#include "support/temp_dir.hpp"

namespace lxdcore::test {

/// A kernel without devices: what is mounted is a directory for each source, and what is done goes into the sequence of
/// the fake programs.
class FakeHost : public storage::Host {
public:
    explicit FakeHost(std::shared_ptr<FakeTools> tools) : tools_{std::move(tools)} {}

    void mount(const std::string& source, const Dir& target, const std::string& type,
               const std::string& options) override {
        tools_->record(fmt::format("mount -t {} -o {} {} {}", type, options, source, short_name(target.path())));
        mounted_.insert(target.path());
        if (short_name(target.path()) != "aside") return;
        move_all(content(source), target); // there to be filled
        aside_[target.path()] = source;
    }
    Dir mount_detached(const std::string& source, const Dir&, const std::string& type,
                       const std::string& options) override {
        tools_->record(fmt::format("mount -t {} -o {} {} aside", type, options, source));
        return content(source);
    }
    void unmount(const Dir& parent, const std::string& name) override {
        const auto path = parent.path() + "/" + name;
        if (mounted_.erase(path) > 0) tools_->record("umount " + short_name(name));
        if (const auto it = aside_.find(path); it != aside_.end()) {
            move_all(parent.dir(name), content(it->second));
            aside_.erase(it);
        }
    }
    bool mounted(const Dir& parent, const std::string& name) const override {
        return mounted_.contains(parent.path() + "/" + name);
    }
    void freeze(const Dir& mounted) override { tools_->record("freeze " + short_name(mounted.path())); }
    void thaw(const Dir& mounted) override { tools_->record("thaw " + short_name(mounted.path())); }
    void set_attribute(const Dir& dir, const std::string& name, const std::string& value) override {
        tools_->record(fmt::format("attribute {}={} {}", name, value, short_name(dir.path())));
    }
    std::string attribute(const Dir&, const std::string&) const override { return "42"; }
    Space space(const Dir&) const override { return {.used = 4096, .total = 8192}; }
    bool has_kernel_module(const std::string& name) const override { return modules.contains(name); }
    bool offers_kernel_module(const std::string& name) const override {
        return has_kernel_module(name) || loadable.contains(name);
    }
    std::string kernel_module_version(const std::string&) const override { return "2.1.11-1"; }
    bool is_block_device(const std::string& path) const override { return devices.contains(path); }
    std::string filesystem_of(const std::string&) const override { return filesystem; }
    std::int64_t device_size(const std::string&) const override { return 1 << 30; }
    void copy_device(const std::string& from, const std::string& to, std::int64_t bytes, std::stop_token) override {
        tools_->record(bytes == storage::kAllOfIt ? fmt::format("copy {} {}", from, to)
                                                  : fmt::format("copy {} {} {}", from, to, bytes));
    }
    UniqueFd open_device(const std::string& path, int) override {
        tools_->record("open " + path);
        return Dir::open(temp_.path().string()).open_file("device", O_RDWR | O_CREAT, 0600);
    }
    void zero_device(const std::string& device, std::int64_t from) override {
        tools_->record(fmt::format("zero {} from {}", device, from));
    }
    /// What is mounted from @p source.
    Dir content(const std::string& source) const {
        std::string name = source;
        for (auto& c : name)
            if (c == '/') c = '+';
        return Dir::open(temp_.path().string()).make_dir(name, 0700);
    }

    std::set<std::string> modules, loadable, devices;
    std::string filesystem = "ext4";

private:
    static std::string short_name(const std::string& path) {
        const auto at = path.find("storage-pools/");
        const auto name = at == std::string::npos ? path : path.substr(at + 14);
        return name.find(".mount-") == std::string::npos ? name : "aside";
    }
    static void move_all(const Dir& from, const Dir& to) {
        for (const auto& name : from.list())
            std::filesystem::rename(from.path() + "/" + name, to.path() + "/" + name);
    }
    std::shared_ptr<FakeTools> tools_;
    TempDir temp_;
    std::set<std::string> mounted_;
    std::map<std::string, std::string> aside_; ///< mount point to source
};

} // namespace lxdcore::test
