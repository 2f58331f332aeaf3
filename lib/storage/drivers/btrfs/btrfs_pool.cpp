// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/btrfs/btrfs_driver.hpp"
#include "storage/drivers/btrfs/subvolume.hpp"
#include "storage/loop_device.hpp"
#include "storage/loop_size.hpp"
#include "util/fault_point.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr const char* kByUuid = "/dev/disk/by-uuid";

/// A stat that follows links: sources are named by the administrator, who may well name a link in /dev.
std::optional<struct stat> look_at(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return status;
    return std::nullopt;
}

bool kernel_has_btrfs() {
    const auto known = [] { return Dir::open("/proc").read("filesystems").find("\tbtrfs\n") != std::string::npos; };
    if (known()) return true;
    try {
        run({"modprobe", "-b", "btrfs"});
    } catch (const Error&) { // not even that program
    }
    return known();
}

std::string device_of(const std::string& source) {
    return source.starts_with('/') ? source : fmt::format("{}/{}", kByUuid, source);
}

} // namespace

std::string BtrfsDriver::version() {
    if (!kernel_has_btrfs()) throw Error{ErrorCode::Internal, "Error loading \"btrfs\" module"};
    RunResult result;
    try {
        result = run({"btrfs", "version"});
    } catch (const Error&) { // not found
        result.code = 127;
    }
    if (result.code != 0) throw Error{ErrorCode::Internal, "Required tool 'btrfs' is missing"};
    const auto at = result.out.find(" v");
    return at == std::string::npos ? "" : text::split(text::trim(result.out.substr(at + 2)), '\n').front();
}

std::string BtrfsDriver::loop_name() const { return name_ + ".img"; }
std::string BtrfsDriver::loop_path() const { return state_dir_.path() + "/disks/" + loop_name(); }

BtrfsDriver::Kind BtrfsDriver::kind(const std::string& source) const {
    if (source.empty() || source == loop_path()) return Kind::LoopFile;
    if (!source.starts_with('/') && look_at(device_of(source))) return Kind::Device;
    const auto status = look_at(source);
    return status && S_ISBLK(status->st_mode) ? Kind::Device : Kind::Directory;
}

void BtrfsDriver::prepare_config(api::StringMap& config) const {
    version();
    auto& source = config["source"];
    if (!source.empty()) config["volatile.initial_source"] = source;
    switch (kind(source)) {
    case Kind::LoopFile:
        return prepare_loop(config);
    case Kind::Device:
        config.erase("size");
        return;
    case Kind::Directory:
        config.erase("size");
        return prepare_directory(source);
    }
}

void BtrfsDriver::prepare_loop(api::StringMap& config) const {
    config["source"] = loop_path();
    const auto disks = state_dir_.make_dir("disks", 0700);
    if (disks.exists(loop_name()))
        throw Error{ErrorCode::Internal,
                    fmt::format("Failed to create the sparse file: {} exists already", loop_path())};
    auto& size = config["size"];
    if (size.empty()) size = default_loop_size(disks);
    const auto bytes = text::parse_bytes(size);
    if (bytes <= 0) throw Error{ErrorCode::NoSpace, "Failed to create the sparse file: no space is free"};
    check_loop_space(disks, bytes);
}

void BtrfsDriver::prepare_directory(const std::string& source) const {
    if (source == own_path()) return; // a subvolume right there
    if (!source.starts_with('/'))
        throw Error{ErrorCode::Internal, fmt::format("Source path {} isn't absolute", text::quote(source))};
    if (source == state_dir_.path() || source.starts_with(state_dir_.path() + "/"))
        throw Error{ErrorCode::Internal, fmt::format("Only allowed source path under {} is {}",
                                                     text::quote(state_dir_.path()), text::quote(own_path()))};
    if (!look_at(source)) return; // becomes a subvolume
    const char* elsewhere = "Provided path does not reside on a btrfs filesystem";
    if (!S_ISDIR(look_at(source)->st_mode)) throw Error{ErrorCode::Internal, elsewhere};
    const auto dir = Dir::open(source);
    if (!btrfs::is_subvolume(dir)) throw Error{ErrorCode::Internal, elsewhere};
    // LXD takes these; but what undoes a creation that failed would then remove what was there before.
    if (layout_in_use(dir))
        throw Error{ErrorCode::Internal,
                    fmt::format("Requested btrfs subvolume {} exists but is not empty", text::quote(source))};
}

Dir BtrfsDriver::mount_point() const { return state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711); }

void BtrfsDriver::format(const std::string& where, const std::string& what) const {
    const auto result = run({"mkfs.btrfs", "-L", name_, where}, {.timeout = std::chrono::minutes{10}});
    if (result.code == 0) return;
    throw Error{ErrorCode::Internal, fmt::format("Failed to format {}: Failed to run: mkfs.btrfs -L {} {}: exit status "
                                                 "{} ({})",
                                                 what, name_, where, result.code, text::trim(result.err))};
}

void BtrfsDriver::create_pool(api::StringMap& config) {
    const auto& source = config.at("source");
    switch (kind(source)) {
    case Kind::LoopFile:
        create_loop(config);
        break;
    case Kind::Device:
        create_device(config);
        break;
    case Kind::Directory:
        create_directory(source);
        break;
    }
    mount_pool();
    fault_point("pool-create:mounted");
}

void BtrfsDriver::create_loop(const api::StringMap& config) {
    const auto disks = state_dir_.make_dir("disks", 0700);
    {
        const auto file = disks.open_file(loop_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
        if (::fchmod(file.get(), 0600) != 0 || ::ftruncate(file.get(), text::parse_bytes(config.at("size"))) != 0)
            throw_errno("Failed to create the sparse file: truncate " + loop_path());
    }
    fault_point("pool-create:loop-file");
    format(loop_path(), "sparse file");
    fault_point("pool-create:formatted");
}

/// The device is remembered by its UUID where that can be looked up: its name may change.
void BtrfsDriver::create_device(api::StringMap& config) {
    auto& source = config.at("source");
    format(device_of(source), "block device");
    fault_point("pool-create:device-formatted");
    const auto device = Dir::open("/").open_file(device_of(source).substr(1), O_RDONLY, 0, Links::InRoot);
    const auto uuid = btrfs::uuid_in(device.get());
    if (!uuid.empty() && look_at(device_of(uuid))) source = uuid;
}

void BtrfsDriver::create_directory(const std::string& source) {
    if (source == own_path()) {
        const auto parent = state_dir_.make_dir("storage-pools", 0711);
        if (parent.exists(name_)) {
            if (btrfs::is_subvolume(parent.dir(name_))) return;
            parent.remove(name_); // an empty directory
        }
    } else if (look_at(source)) {
        return;
    }
    const auto result = run({"btrfs", "subvolume", "create", source});
    if (result.code != 0)
        throw Error{ErrorCode::Internal, fmt::format("Failed to run: btrfs subvolume create {}: exit status {} ({})",
                                                     source, result.code, text::trim(result.err))};
}

UniqueFd BtrfsDriver::open_loop_file() const { return state_dir_.dir("disks").open_file(loop_name(), O_RDWR); }

void BtrfsDriver::mount_pool() {
    const std::lock_guard lock{mutex_};
    const auto source = option("source");
    {
        const auto target = mount_point();
        switch (kind(source)) {
        case Kind::LoopFile: {
            const auto file = open_loop_file();
            const auto device = LoopDevice::attach(file);
            mount_device(device.path(), btrfs::uuid_in(file.get()), target);
            break;
        }
        case Kind::Device: {
            const auto device = Dir::open("/").open_file(device_of(source).substr(1), O_RDONLY, 0, Links::InRoot);
            mount_device(device_of(source), btrfs::uuid_in(device.get()), target);
            break;
        }
        case Kind::Directory:
            mount_directory(source, target);
            break;
        }
    }
    const auto top = root();
    make_layout(top);
    if (kind(source) == Kind::LoopFile) finish_growth(top);
}

/// What an earlier process mounted is used as it is.
void BtrfsDriver::mount_device(const std::string& device, const std::string& uuid, const Dir& target) const {
    if (is_mount_point(target)) {
        if (btrfs::is_btrfs(target) && btrfs::uuid_of(target) == uuid) return;
        throw Error{ErrorCode::Internal, fmt::format("{}: something else is mounted there", target.path())};
    }
    mount_filesystem(device, target, "btrfs", MountOptions::parse(mount_options_));
}

void BtrfsDriver::mount_directory(const std::string& source, const Dir& target) const {
    const auto from = Dir::open(source);
    if (!btrfs::is_subvolume(from))
        throw Error{ErrorCode::Internal, "Provided path does not reside on a btrfs filesystem"};
    if (source == own_path() || same_directory(from, target)) return;
    if (is_mount_point(target))
        throw Error{ErrorCode::Internal, fmt::format("{}: something else is mounted there", target.path())};
    bind_directory(from, target);
}

/// The file may be larger than the filesystem: it was made so just now, or a growth was interrupted.
void BtrfsDriver::finish_growth(const Dir& mounted) const {
    const auto file = open_loop_file();
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno(loop_path());
    auto device = LoopDevice::find(file);
    if (!device) return;
    device->grow();
    btrfs::grow(mounted, status.st_size);
}

void BtrfsDriver::update_pool(const api::StringMap& config) {
    const auto value = [&](const char* key) {
        const auto it = config.find(key);
        return it == config.end() ? std::string{} : it->second;
    };
    const std::lock_guard lock{mutex_};
    const bool loop = kind(option("source")) == Kind::LoopFile;
    auto options = value("btrfs.mount_options");
    if (options.empty()) options = "user_subvol_rm_allowed";
    if (options != mount_options_) {
        remount_filesystem(root(), MountOptions::parse(options));
        mount_options_ = options;
    }
    if (!loop || value("size").empty()) return;
    const auto bytes = text::parse_bytes(value("size"));
    const auto file = open_loop_file();
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno(loop_path());
    if (bytes <= status.st_size) return; // as LXD: recorded, and nothing else; a filesystem never shrinks here
    const auto more = bytes - status.st_blocks * 512;
    check_loop_space(state_dir_.dir("disks"), more);
    if (::ftruncate(file.get(), bytes) != 0) throw_errno("Failed to grow the sparse file: truncate " + loop_path());
    fault_point("pool-grow:loop-file");
    finish_growth(root());
    fault_point("pool-grow:filesystem");
}

void BtrfsDriver::delete_pool() {
    const auto source = option("source");
    const auto where = kind(source);
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    if (pools.exists(name_)) {
        bool ours = false; // nothing is removed from what is not the pool
        {
            const auto top = pools.dir(name_);
            ours = where != Kind::LoopFile && btrfs::is_btrfs(top) && (is_mount_point(top) || source == own_path());
            if (ours) remove_layout(top);
        }
        fault_point("pool-delete:emptied");
        if (source != own_path()) unmount(own_path());
        fault_point("pool-delete:unmounted");
        if (source == own_path() && btrfs::is_subvolume(pools.dir(name_))) btrfs::remove(pools, name_);
        pools.remove_tree(name_);
    }
    if (where == Kind::LoopFile) state_dir_.make_dir("disks", 0700).remove(loop_name());
    fault_point("pool-delete:removed");
}

} // namespace lxdcore::storage
