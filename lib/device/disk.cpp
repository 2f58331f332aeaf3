// SPDX-License-Identifier: Apache-2.0
#include "device/disk.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>
#include <lxdcore/error.hpp>
#include <nlohmann/json.hpp>

#include "device/disk_limits.hpp"
#include "storage/custom_volumes.hpp"
#include "storage/pool_access.hpp"
#include "util/dir.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::device {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Error{ErrorCode::InvalidArgument, text}; }

std::string get(const api::Device& device, const std::string& key) {
    const auto it = device.find(key);
    return it == device.end() ? "" : it->second;
}

bool is_directory(const UniqueFd& fd) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) throw_errno("stat disk source");
    return S_ISDIR(info.st_mode);
}

/// Bind options that take rights away or tune access times; anything else has no business on somebody else's mount.
bool is_harmless(const std::string& option) {
    constexpr const char* kOptions[] = {"ro",         "rw",       "nodev",      "noexec",      "nosuid", "noatime",
                                        "nodiratime", "relatime", "norelatime", "strictatime", "sync",   "dirsync"};
    return std::find(std::begin(kOptions), std::end(kOptions), option) != std::end(kOptions);
}

bool is_propagation(const std::string& value) {
    constexpr const char* kModes[] = {"private",  "shared",  "slave",  "unbindable",
                                      "rprivate", "rshared", "rslave", "runbindable"};
    return std::find(std::begin(kModes), std::end(kModes), value) != std::end(kModes);
}

/// What of @p options a mount can have; "rw", "sync" and "dirsync" change nothing on somebody else's filesystem.
mount_attr attributes_of(bool readonly, const std::string& options) {
    constexpr std::pair<const char*, unsigned> kFlags[] = {{"ro", MOUNT_ATTR_RDONLY},
                                                           {"nodev", MOUNT_ATTR_NODEV},
                                                           {"noexec", MOUNT_ATTR_NOEXEC},
                                                           {"nosuid", MOUNT_ATTR_NOSUID},
                                                           {"nodiratime", MOUNT_ATTR_NODIRATIME}};
    constexpr std::pair<const char*, unsigned> kTimes[] = {
        {"relatime", MOUNT_ATTR_RELATIME}, {"noatime", MOUNT_ATTR_NOATIME}, {"strictatime", MOUNT_ATTR_STRICTATIME}};
    mount_attr out{};
    if (readonly) out.attr_set = MOUNT_ATTR_RDONLY;
    for (const auto& option : text::split(options, ',')) {
        for (const auto& [name, flag] : kFlags)
            if (option == name) out.attr_set |= flag;
        for (const auto& [name, flag] : kTimes) {
            if (option != name) continue;
            out.attr_set = (out.attr_set & ~std::uint64_t{MOUNT_ATTR__ATIME}) | flag;
            out.attr_clr = MOUNT_ATTR__ATIME;
        }
    }
    return out;
}

/// MS_PRIVATE and the like, with MS_REC; 0 for none.
std::uint64_t propagation_of(std::string mode) {
    constexpr std::pair<const char*, std::uint64_t> kModes[] = {
        {"private", MS_PRIVATE}, {"shared", MS_SHARED}, {"slave", MS_SLAVE}, {"unbindable", MS_UNBINDABLE}};
    const bool recursive = mode.starts_with('r');
    if (recursive) mode.erase(0, 1);
    for (const auto& [name, flag] : kModes)
        if (mode == name) return flag | (recursive ? MS_REC : 0);
    return 0;
}

void set_attributes(int tree, bool recursive, const mount_attr& attributes) {
    if (attributes.attr_set == 0 && attributes.attr_clr == 0) return;
    const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    if (::syscall(SYS_mount_setattr, tree, "", flags, &attributes, sizeof attributes) != 0)
        throw_errno("set mount options");
}

void unmount_all(const std::string& path) {
    // A start that was interrupted may have left one; each is detached until none is there.
    while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
    }
}

} // namespace

std::string Disk::value(const std::string& key) const { return get(config_, key); }
bool Disk::flag(const std::string& key) const { return text::is_true(value(key)); }
bool Disk::is_root() const { return value("path") == "/"; }

bool Disk::required() const {
    if (const std::string own = value("required"); !own.empty()) return text::is_true(own);
    return !flag("optional");
}

std::string Disk::inside() const {
    const std::string path = value("path");
    const auto first = path.find_first_not_of('/');
    return first == std::string::npos ? "" : path.substr(first);
}

void Disk::validate(const Target& target, bool) {
    const std::string source = value("source");
    const std::string pool = value("pool");
    if (!value("required").empty() && !value("optional").empty())
        refuse("Cannot use both \"required\" and deprecated \"optional\" properties at the same time");
    if (source.empty() && !is_root()) refuse("Disk entry is missing the required \"source\" or \"path\" property");
    if (is_root()) {
        if (!source.empty()) refuse("Root disk entry may not have a \"source\" property set");
        if (pool.empty()) refuse("Root disk entry must have a \"pool\" property set");
        return;
    }
    if (!value("size").empty() || !value("size.state").empty()) refuse("Only the root disk may have a size quota");
    for (const auto& [name, other] : target.expanded_devices) {
        if (name != name_ && get(other, "type") == "disk" && !value("path").empty() &&
            get(other, "path") == value("path"))
            refuse(fmt::format("More than one disk device uses the same path \"{}\"", value("path")));
    }
    if (!pool.empty()) {
        if (source.starts_with('/')) refuse("Storage volumes cannot be specified as absolute paths");
        if (flag("shift"))
            refuse(
                "The \"shift\" property cannot be used with custom storage volumes (set \"security.shifted=true\" on "
                "the volume instead)");
        if (flag("recursive")) refuse("The recursive option is only supported for additional bind-mounted paths");
    }
    if (source.starts_with("ceph:") || source.starts_with("cephfs:") || source == "cloud-init:config")
        throw Error{ErrorCode::Unsupported, fmt::format("Disk source \"{}\" is not supported by this server", source)};
    if (pool.empty() && !source.starts_with('/')) refuse("Source path must be absolute for local sources");
    const auto parts = text::split(value("path"), '/');
    if (std::find(parts.begin(), parts.end(), "..") != parts.end() || names::has_control(value("path")))
        refuse(fmt::format("Invalid path \"{}\" for disk", value("path")));
    if (const std::string mode = value("propagation"); !mode.empty() && !is_propagation(mode))
        refuse(fmt::format("Invalid value for device option \"propagation\": Invalid value {}", text::quote(mode)));
    for (const std::string& option : text::split(value("raw.mount.options"), ','))
        if (!is_harmless(option))
            refuse(fmt::format("Mount option \"{}\" is not allowed for disk \"{}\"", option, name_));
}

bool Disk::is_volume() const { return !is_root() && !value("pool").empty(); }

/// What only the pools know.
void Disk::check_volume(const Target& target) const {
    const std::string pool = value("pool");
    try {
        (void)target.storage.get(pool);
    } catch (Error& error) {
        error.add_context("Failed to get storage pool " + text::quote(pool));
        throw;
    }
    bool block = false;
    try {
        block = storage::PoolAccess::of(target.storage).custom().is_block(pool, target.project, value("source"));
    } catch (Error& error) {
        error.add_context("Failed loading custom volume");
        throw;
    }
    if (block) refuse("Custom block volumes cannot be used on containers");
    if (inside().empty()) refuse("Custom filesystem volumes require a path to be defined");
}

std::optional<Disk::Source> Disk::open_volume(const Target& target) const {
    try {
        auto volume = storage::PoolAccess::of(target.storage)
                          .custom()
                          .attach(value("pool"), target.project, value("source"), target.instance, target.idmap);
        return Source{.mount = volume.content.mount,
                      .fd = volume.content.dir.open_file("", O_PATH | O_DIRECTORY),
                      .shift = volume.shifted};
    } catch (Error& error) {
        if (error.code() == ErrorCode::NotFound && !required()) return std::nullopt;
        error.add_context("Failed mounting volume");
        throw;
    }
}

std::optional<Disk::Source> Disk::open_source(const Target& target) const {
    if (is_volume()) return open_volume(target);
    auto fd = open_path();
    if (!fd) return std::nullopt;
    return Source{.fd = std::move(*fd), .shift = flag("shift") && !target.idmap.ranges.empty()};
}

std::optional<UniqueFd> Disk::open_path() const {
    const std::string source = value("source");
    const auto first = source.find_first_not_of('/');
    const std::string below = first == std::string::npos ? "." : source.substr(first);
    try {
        // Links are the host's own; /proc/<pid>/… magic links are not followed.
        return Dir::open("/").open_file(below, O_PATH, 0, Links::InRoot);
    } catch (const Error& e) {
        if (e.code() != ErrorCode::NotFound) throw;
    }
    if (required())
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("Missing source path \"{}\" for disk \"{}\"", source, name_)};
    return std::nullopt;
}

UniqueFd Disk::clone_source(const UniqueFd& source) const {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (flag("recursive") ? AT_RECURSIVE : 0);
    UniqueFd tree{static_cast<int>(::syscall(SYS_open_tree, source.get(), "", flags))};
    if (!tree) throw_errno("clone mount of " + value("source"));
    return tree;
}

Volatile Disk::added(const Target& target, const Volatile& current) {
    if (is_volume())
        check_volume(target);
    else if (!is_root())
        (void)open_path();
    return current;
}

StartPlan Disk::start(const Target& target, const Volatile&, Rollback& undo) {
    if (is_root()) return {};
    if (inside().empty()) refuse("Disk entry is missing the required \"source\" or \"path\" property");
    const auto source = open_source(target);
    if (!source) return {};
    const bool directory = is_directory(source->fd);
    const UniqueFd tree = clone_source(source->fd);

    const Dir devices = Dir::open(target.devices_path);
    const std::string path = target.devices_path + "/" + mount_name();
    unmount_all(path);
    devices.remove(mount_name());
    if (directory)
        devices.make_dir(mount_name());
    else
        devices.open_file(mount_name(), O_WRONLY | O_CREAT);
    undo.add([path, name = mount_name(), folder = target.devices_path] {
        unmount_all(path);
        Dir::open(folder).remove(name);
    });
    // Here already: what a guest's namespace is made with, its root cannot change.
    set_attributes(tree.get(), flag("recursive"), attributes_of(flag("readonly"), value("raw.mount.options")));
    const UniqueFd place = devices.open_file(mount_name(), O_PATH);
    if (::syscall(SYS_move_mount, tree.get(), "", place.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) !=
        0)
        throw_errno("mount " + value("source"));

    MountItem item{.source = path, .target = inside()};
    item.options.push_back(flag("recursive") ? "rbind" : "bind");
    if (flag("readonly")) item.options.push_back("ro");
    for (const std::string& option : text::split(value("raw.mount.options"), ','))
        item.options.push_back(option);
    if (!value("propagation").empty()) item.options.push_back(value("propagation"));
    if (source->shift) item.options.push_back("idmap=container");
    item.options.push_back(directory ? "create=dir" : "create=file");
    StartPlan plan;
    plan.mounts.push_back(std::move(item));
    return plan;
}

Volatile Disk::stopped(const Target& target, const Volatile&) {
    if (is_root()) return {};
    unmount_all(target.devices_path + "/" + mount_name());
    Dir::open(target.devices_path).remove(mount_name());
    return {};
}

Volatile Disk::plug(const Target& target, const Volatile& current) {
    if (is_root()) refuse("Root disk cannot be added while the instance is running");
    if (!target.helper) return Device::plug(target, current);
    if (inside().empty()) refuse("Disk entry is missing the required \"source\" or \"path\" property");
    const auto source = open_source(target);
    if (!source) return {};
    const UniqueFd tree = clone_source(source->fd);
    const bool mapped = !target.idmap.ranges.empty();
    const auto attributes = attributes_of(flag("readonly"), value("raw.mount.options"));
    target.helper->call("mount",
                        {{"target", inside()},
                         {"directory", is_directory(source->fd)},
                         {"attributes_set", attributes.attr_set},
                         {"attributes_clear", attributes.attr_clr},
                         {"propagation", propagation_of(value("propagation"))},
                         {"recursive", flag("recursive")},
                         {"user_namespace", mapped},
                         {"shift", source->shift},
                         {"pid", target.init_pid}},
                        {{tree.get(), 5}, {target.init_pidfd, 6}});
    return {};
}

Volatile Disk::unplug(const Target& target, const Volatile& current) {
    if (is_root()) refuse("Root disk cannot be removed while the instance is running");
    if (!target.helper) return Device::unplug(target, current);
    target.helper->call("unmount", {{"target", inside()}, {"user_namespace", !target.idmap.ranges.empty()}},
                        {{target.init_pidfd, 5}});
    return stopped(target, current);
}

bool Disk::can_update(const api::Device& before) const {
    const auto fixed_part = [root = is_root()](api::Device device) {
        if (root) device.erase("size");
        for (const char* key : {"limits.read", "limits.write", "limits.max"})
            device.erase(key);
        return device;
    };
    return fixed_part(before) == fixed_part(config_);
}

/// Rates are of all disks together; the instance applies them.
void Disk::update(const Target& target, const api::Device& before, const Volatile&) {
    (void)disk_rate(config_);
    if (!is_root() || get(before, "size") == value("size")) return;
    const std::string size = value("size");
    target.storage.set_instance_quota(target.project, target.instance, size.empty() ? 0 : text::parse_bytes(size));
}

} // namespace lxdcore::device
