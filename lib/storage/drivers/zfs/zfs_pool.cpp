// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/zfs/zfs_driver.hpp"
#include "storage/loop_size.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

/// LXD's, on the dataset that holds all.
constexpr const char* kDefaults[] = {"relatime=on", "mountpoint=legacy", "setuid=on", "exec=on",
                                     "devices=on",  "acltype=posixacl",  "xattr=sa"};

std::string get(const api::StringMap& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

/// A pool, or a dataset in one; no snapshot, no option, nothing that a list or a property could be taken for.
const std::string& checked_dataset(const std::string& name) {
    bool fine = !name.empty() && name.size() < 200 && std::isalpha(static_cast<unsigned char>(name.front())) != 0;
    for (const auto& part : text::split(name, '/'))
        fine = fine && !part.empty() && part.front() != '-' && part.front() != '.' &&
               std::all_of(part.begin(), part.end(), [](unsigned char c) {
                   return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
               });
    if (!fine || name.back() == '/')
        throw Error{ErrorCode::Internal, fmt::format("Invalid ZFS pool or dataset name {}", text::quote(name))};
    return name;
}

} // namespace

ZfsDriver::ZfsDriver(const PoolContext& pool) : ZfsDriver{pool, Backend::real(pool.log)} {}
ZfsDriver::ZfsDriver(const PoolContext& pool, Backend backend) : MountedDriver{pool, std::move(backend)} {}

std::string ZfsDriver::top() const { return checked_dataset(value("zfs.pool_name", name())); }
std::string ZfsDriver::loop_file() const { return state_dir().path() + "/disks/" + name() + ".img"; }
bool ZfsDriver::has_loop_file(const api::StringMap& config) const { return get(config, "source") == loop_file(); }

void ZfsDriver::require_backend() const {
    if (!host().has_kernel_module("zfs")) {
        if (!tools().installed("modprobe"))
            throw Error{ErrorCode::Internal, "Error loading \"zfs\" module: Failed to run: modprobe -b zfs: exec: "
                                             "\"modprobe\": executable file not found in $PATH"};
        try {
            tools().run({"modprobe", "-b", "zfs"});
        } catch (Error& error) {
            error.add_context("Error loading \"zfs\" module");
            throw;
        }
    }
    for (const char* tool : {"zpool", "zfs"})
        if (!tools().installed(tool))
            throw Error{ErrorCode::Internal, fmt::format("Required tool '{}' is missing", tool)};
}

void ZfsDriver::prepare_config(api::StringMap& config) const {
    require_backend();
    const auto source = get(config, "source");
    const auto named = get(config, "zfs.pool_name");
    if (source.empty() || source == loop_file()) {
        if (named.find('/') != std::string::npos)
            throw Error{ErrorCode::Internal, "zfs.pool_name can't point to a dataset when source isn't set"};
        config["source"] = loop_file();
        if (get(config, "size").empty()) config["size"] = default_loop_size(state_dir());
        check_loop_space(state_dir(), text::parse_bytes(config["size"]));
        config["zfs.pool_name"] = checked_dataset(named.empty() ? name() : named);
    } else if (source.front() == '/') {
        if (!host().is_block_device(source))
            throw Error{ErrorCode::Internal, "Custom loop file locations are not supported"};
        config["zfs.pool_name"] = checked_dataset(named.empty() ? name() : named);
    } else {
        if (!named.empty() && named != source)
            throw Error{ErrorCode::Internal, "The source must match zfs.pool_name if specified"};
        config["zfs.pool_name"] = checked_dataset(source);
        const auto found = tools().ask({"zfs", "list", "-H", "-r", "-o", "name", source});
        if (lines_of(found.out).size() > 1)
            throw Error{ErrorCode::Internal, fmt::format("Provided ZFS pool (or dataset) isn't empty, run \"sudo zfs "
                                                         "list {}\" to see existing entries",
                                                         source)};
        return;
    }
    if (config["zfs.pool_name"].find('/') != std::string::npos)
        throw Error{ErrorCode::Internal, fmt::format("Invalid ZFS pool name {}", text::quote(config["zfs.pool_name"]))};
}

/// Each step is left out where it was done before: creation can be repeated after it was interrupted.
void ZfsDriver::create_pool(api::StringMap& config) {
    config_ = config;
    const auto source = value("source");
    Rollback undo;
    const bool there = tools().succeeds({"zpool", "list", "-H", "-o", "name", text::split(top(), '/').front()});
    if (has_loop_file(config)) {
        undo.add([&] { state_dir().make_dir("disks", 0700).remove(name() + ".img"); });
        const auto file = state_dir().make_dir("disks", 0700).open_file(name() + ".img", O_RDWR | O_CREAT, 0600);
        if (::ftruncate(file.get(), text::parse_bytes(value("size"))) != 0) throw_errno(loop_file());
        if (!there) tools().run({"zpool", "create", "-m", "none", "-O", "compression=on", top(), loop_file()});
        undo.add([&] { tools().run({"zpool", "destroy", top()}); });
    } else if (source.starts_with('/')) {
        if (!there)
            tools().run({"zpool", "create", "-f", "-m", "none", "-O", "compression=on", top(), operand(source)});
        undo.add([&] { tools().run({"zpool", "destroy", top()}); });
        // What is found again at the next start is the pool, whatever the device is called by then.
        config["source"] = config_["source"] = top();
    } else if (top().find('/') != std::string::npos && !has_object(top())) {
        tools().run({"zfs", "create", "-o", "mountpoint=legacy", top()});
        undo.add([&] { tools().run({"zfs", "destroy", top()}); });
    } else if (!has_object(top())) {
        throw Error{ErrorCode::Internal, fmt::format("The requested ZFS pool {} does not exist", text::quote(top()))};
    }
    make_datasets();
    MountedDriver::mount_pool();
    undo.commit();
}

std::vector<std::string> ZfsDriver::layout() const {
    std::vector<std::string> all{"deleted"};
    for (const char* kind : {"buckets", "containers", "custom", "images", "virtual-machines"}) {
        all.push_back(kind);
        all.push_back(std::string{"deleted/"} + kind);
    }
    return all;
}

void ZfsDriver::make_datasets() const {
    std::vector<std::string> argv{"zfs", "set"};
    argv.insert(argv.end(), std::begin(kDefaults), std::end(kDefaults));
    argv.push_back(top());
    tools().run(std::move(argv));
    const auto there = lines_of(tools().run({"zfs", "list", "-H", "-r", "-o", "name", "-t", "filesystem", top()}));
    for (const auto& dataset : layout()) {
        const auto full = top() + "/" + dataset;
        if (std::find(there.begin(), there.end(), full) == there.end())
            tools().run({"zfs", "create", "-o", "mountpoint=legacy", "-o", "canmount=noauto", full});
    }
}

void ZfsDriver::mount_pool() {
    require_backend();
    if (!has_object(top())) {
        const auto pool = text::split(top(), '/').front();
        if (has_loop_file(config_))
            tools().run({"zpool", "import", "-f", "-d", state_dir().path() + "/disks", pool});
        else if (!tools().succeeds({"zpool", "list", "-H", "-o", "name", pool}))
            tools().run({"zpool", "import", pool});
        if (!has_object(top())) throw Error{ErrorCode::Internal, "ZFS zpool exists but dataset is missing"};
    }
    make_datasets();
    MountedDriver::mount_pool();
}

void ZfsDriver::delete_pool() {
    if (has_object(top())) {
        const auto known = layout();
        std::vector<std::string> left;
        for (const auto& dataset : lines_of(tools().run({"zfs", "list", "-H", "-r", "-o", "name", top()}))) {
            const auto inner = dataset == top() ? std::string{} : dataset.substr(top().size() + 1);
            // Images are ours to remove, and what is out of sight belongs to nobody any more.
            const bool ours = inner.empty() || inner.starts_with("images/") || inner.starts_with("deleted/") ||
                              std::find(known.begin(), known.end(), inner) != known.end();
            if (!ours) left.push_back(inner);
        }
        if (!left.empty())
            throw Error{ErrorCode::Internal, fmt::format("ZFS pool has leftover datasets: {}", text::join(left, ", "))};
        if (top().find('/') != std::string::npos)
            tools().run({"zfs", "destroy", "-r", top()});
        else
            tools().run({"zpool", "destroy", top()});
    }
    if (has_loop_file(config_)) state_dir().make_dir("disks", 0700).remove(name() + ".img");
    MountedDriver::delete_pool();
}

void ZfsDriver::update_pool(const api::StringMap& config) {
    if (const auto name = get(config, "zfs.pool_name"); !name.empty() && name != top())
        throw Error{ErrorCode::Internal, "zfs.pool_name cannot be modified"};
    config_ = config;
}

api::StoragePoolResources ZfsDriver::resources() const {
    const auto values = lines_of(tools().run({"zfs", "get", "-H", "-p", "-o", "value", "used,available", top()}));
    if (values.size() != 2) throw Error{ErrorCode::Internal, "Unexpected output from zfs command"};
    api::StoragePoolResources result;
    result.space.used = std::stoull(values[0]);
    result.space.total = result.space.used + std::stoull(values[1]);
    return result;
}

} // namespace lxdcore::storage
