// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/lvm/lvm_driver.hpp"
#include "storage/loop_size.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr const char* kTag = "lxd_pool"; ///< on a group that belongs to an LXD
constexpr const char* kOurs[] = {"containers_", "images_", "custom_", "virtual-machines_", "lxdcore-"};

std::string get(const api::StringMap& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

/// LVM's own rule; it cannot begin with a hyphen.
const std::string& checked_group(const std::string& name) {
    const bool fine = std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '+' || c == '_' || c == '.' || c == '-';
    });
    if (!fine || name == "." || name == ".." || name.size() > 127)
        throw Error{ErrorCode::Internal, fmt::format("Invalid name {}", text::quote(name))};
    return operand(name);
}

} // namespace

LvmDriver::LvmDriver(const PoolContext& pool) : LvmDriver{pool, Backend::real(pool.log)} {}
LvmDriver::LvmDriver(const PoolContext& pool, Backend backend) : MountedDriver{pool, std::move(backend)} {}

bool LvmDriver::thin() const { return !text::is_false(value("lvm.use_thinpool", "true")); }
std::string LvmDriver::group() const { return checked_group(value("lvm.vg_name", name())); }
std::string LvmDriver::thin_pool() const { return checked_group(value("lvm.thinpool_name", "LXDThinPool")); }
std::string LvmDriver::loop_file() const { return state_dir().path() + "/disks/" + name() + ".img"; }

/// The key names the file only until the group is made, and keeps doing so: the file is found again by it.
bool LvmDriver::has_loop_file(const api::StringMap& config) const { return get(config, "source") == loop_file(); }

void LvmDriver::require_backend() const {
    if (!tools().installed("lvm")) throw Error{ErrorCode::Internal, "Required tool \"lvm\" is missing"};
}

void LvmDriver::prepare_config(api::StringMap& config) const {
    require_backend();
    const bool thick = text::is_false(get(config, "lvm.use_thinpool"));
    for (const char* key : {"lvm.thinpool_metadata_size", "lvm.thinpool_name"})
        if (thick && !get(config, key).empty())
            throw Error{ErrorCode::Internal,
                        fmt::format("The key lvm.use_thinpool cannot be set to false when {} is set", key)};
    for (const char* key : {"lvm.vg_name", "lvm.thinpool_name"})
        if (const auto& name = get(config, key); !name.empty()) checked_group(name);
    const auto source = get(config, "source");
    const auto named = get(config, "lvm.vg_name");
    if (source.empty() || source == loop_file()) {
        config["source"] = loop_file();
        if (get(config, "size").empty()) config["size"] = default_loop_size(state_dir());
        check_loop_space(state_dir(), text::parse_bytes(config["size"]));
        if (named.empty()) config["lvm.vg_name"] = checked_group(name());
    } else if (source.front() == '/') {
        if (!host().is_block_device(source))
            throw Error{ErrorCode::Internal, "Custom loop file locations are not supported"};
        if (named.empty()) config["lvm.vg_name"] = checked_group(name());
    } else {
        if (!named.empty() && named != source)
            throw Error{ErrorCode::Internal, "Invalid combination of source and lvm.vg_name properties"};
        config["lvm.vg_name"] = checked_group(source);
        check_existing_group(config);
    }
    if (!thick && get(config, "lvm.thinpool_name").empty()) config["lvm.thinpool_name"] = "LXDThinPool";
}

void LvmDriver::check_existing_group(const api::StringMap& config) const {
    const auto& group = config.at("lvm.vg_name");
    const auto found = tools().ask({"vgs", "--noheadings", "-o", "vg_tags", group});
    if (found.code != 0)
        throw Error{ErrorCode::Internal,
                    fmt::format("The requested volume group {} does not exist", text::quote(group))};
    const bool ours = found.out.find(kTag) != std::string::npos;
    if (text::is_true(get(config, "lvm.vg.force_reuse"))) return;
    const auto thin_name = get(config, "lvm.thinpool_name").empty() ? "LXDThinPool" : get(config, "lvm.thinpool_name");
    for (const auto& volume : lines_of(tools().run({"lvs", "--noheadings", "-o", "lv_name", group})))
        if (volume != thin_name)
            throw Error{ErrorCode::Internal, fmt::format("Volume group {} is not empty", text::quote(group))};
    if (ours)
        throw Error{ErrorCode::Internal, fmt::format("Volume group {} is already used by LXD", text::quote(group))};
}

/// Each step is left out where it was done before: creation can be repeated after it was interrupted.
void LvmDriver::create_pool(api::StringMap& config) {
    config_ = config;
    Rollback undo;
    const auto source = value("source");
    if (has_loop_file(config)) {
        undo.add([&] { state_dir().make_dir("disks", 0700).remove(name() + ".img"); });
        const auto file = state_dir().make_dir("disks", 0700).open_file(name() + ".img", O_RDWR | O_CREAT, 0600);
        if (::ftruncate(file.get(), text::parse_bytes(value("size"))) != 0) throw_errno(loop_file());
        undo.add([&] { detach_loop(); });
        make_group(attach_loop());
    } else if (source.starts_with('/')) {
        make_group(source);
        // What is found again at the next start is the group, whatever the device is called by then.
        config["source"] = config_["source"] = group();
    }
    if (thin()) make_thin_pool();
    tools().run({"vgchange", "--addtag", kTag, group()});
    MountedDriver::mount_pool();
    undo.commit();
}

void LvmDriver::make_group(const std::string& device) {
    if (tools().succeeds({"vgs", "--noheadings", "-o", "vg_name", group()})) {
        const auto holders = lines_of(tools().run({"vgs", "--noheadings", "-o", "pv_name", group()}));
        if (holders != std::vector<std::string>{device})
            throw Error{ErrorCode::Internal,
                        fmt::format("A volume group already exists called {}", text::quote(group()))};
        return;
    }
    tools().run({"pvcreate", operand(device)});
    Rollback undo;
    undo.add([&] { tools().run({"pvremove", "-f", operand(device)}); });
    tools().run({"vgcreate", group(), operand(device)});
    undo.commit();
}

void LvmDriver::make_thin_pool() {
    const auto found = tools().ask({"lvs", "--noheadings", "-o", "lv_attr", in_group(thin_pool())});
    if (found.code == 0) {
        if (!text::trim(found.out).starts_with('t'))
            throw Error{ErrorCode::Internal,
                        fmt::format("LVM volume named {} exists but is not a thin pool", text::quote(thin_pool()))};
        return;
    }
    std::vector<std::string> argv{"lvcreate", "--yes", "--wipesignatures", "y", "--thinpool", in_group(thin_pool())};
    if (const auto size = text::parse_bytes(value("lvm.thinpool_metadata_size", "0")); size > 0)
        argv.insert(argv.end(), {"--poolmetadatasize", fmt::format("{}b", size)});
    argv.insert(argv.end(), {"--extents", "100%FREE"});
    tools().run(std::move(argv));
}

std::string LvmDriver::attach_loop() const {
    const auto found =
        lines_of(tools().run({"losetup", "--noheadings", "--output", "NAME", "--associated", loop_file()}));
    if (!found.empty()) return found.front();
    const auto made = lines_of(tools().run({"losetup", "--find", "--show", "--direct-io=on", loop_file()}));
    if (made.empty()) throw Error{ErrorCode::Internal, "losetup: no device"};
    return made.front();
}

void LvmDriver::detach_loop() const noexcept {
    try {
        for (const auto& device :
             lines_of(tools().run({"losetup", "--noheadings", "--output", "NAME", "--associated", loop_file()})))
            tools().run({"losetup", "--detach", device});
    } catch (const std::exception& error) {
        log().warning("Failed to detach a loop device", {{"pool", name()}, {"err", error.what()}});
    }
}

void LvmDriver::mount_pool() {
    require_backend();
    if (has_loop_file(config_)) {
        if (!state_dir().exists("disks/" + name() + ".img"))
            throw Error{ErrorCode::Internal, fmt::format("Loop file {} is missing", text::quote(loop_file()))};
        attach_loop();
    }
    const auto found = tools().ask({"vgs", "--noheadings", "-o", "vg_name", group()});
    if (found.code != 0)
        throw Error{ErrorCode::Internal,
                    fmt::format("The requested volume group {} does not exist", text::quote(group()))};
    tools().run({"vgchange", "--activate", "y", group()});
    MountedDriver::mount_pool();
}

/// As LXD: a group with something else in it stays.
void LvmDriver::delete_pool() {
    if (tools().succeeds({"vgs", "--noheadings", "-o", "vg_name", group()})) {
        bool foreign = false;
        auto all = volumes();
        std::set<std::string> gone;
        for (const auto& [object, volume] : all) {
            if (!thin() && gone.contains(volume.origin)) continue; // a copy-on-write snapshot went with its origin
            if (std::any_of(std::begin(kOurs), std::end(kOurs),
                            [&](const char* prefix) { return object.starts_with(prefix); })) {
                tools().run({"lvremove", "-f", in_group(object)});
                gone.insert(object);
            } else if (object != thin_pool() && !object.starts_with('[')) {
                foreign = true;
            }
        }
        if (thin() && all.contains(thin_pool())) tools().run({"lvremove", "-f", in_group(thin_pool())});
        if (foreign) {
            tools().run({"vgchange", "--deltag", kTag, group()});
        } else {
            tools().run({"vgremove", "-f", group()});
        }
    }
    if (has_loop_file(config_)) {
        detach_loop();
        state_dir().make_dir("disks", 0700).remove(name() + ".img");
    }
    MountedDriver::delete_pool();
}

void LvmDriver::update_pool(const api::StringMap& config) {
    const auto changed = [&](const char* key) { return get(config, key) != value(key); };
    for (const char* fixed : {"lvm.use_thinpool", "lvm.thinpool_metadata_size"})
        if (changed(fixed)) throw Error{ErrorCode::Internal, fmt::format("{} cannot be changed", fixed)};
    for (const char* stripes : {"volume.lvm.stripes", "volume.lvm.stripes.size"})
        if (thin() && changed(stripes))
            throw Error{ErrorCode::Internal, fmt::format("{} cannot be changed when using thin pool", stripes)};
    const auto new_group = get(config, "lvm.vg_name");
    const auto new_thin = get(config, "lvm.thinpool_name");
    if (!new_thin.empty() && new_thin != thin_pool())
        tools().run({"lvrename", group(), thin_pool(), checked_group(new_thin)});
    if (!new_group.empty() && new_group != group()) tools().run({"vgrename", group(), checked_group(new_group)});
    config_ = config;
}

api::StoragePoolResources LvmDriver::resources() const {
    const auto split = [](const std::string& line) { return text::split(line, ','); };
    api::StoragePoolResources result;
    if (thin()) {
        const auto line = text::trim(tools().run({"lvs", "--noheadings", "--units", "b", "--nosuffix", "--separator",
                                                  ",", "-o", "lv_size,data_percent", in_group(thin_pool())}));
        const auto fields = split(line);
        if (fields.size() < 2) throw Error{ErrorCode::Internal, "Unexpected output from lvs command"};
        result.space.total = std::stoull(fields[0]);
        result.space.used =
            static_cast<std::uint64_t>(static_cast<double>(result.space.total) * std::stod(fields[1]) / 100);
        return result;
    }
    const auto line = text::trim(tools().run(
        {"vgs", "--noheadings", "--units", "b", "--nosuffix", "--separator", ",", "-o", "vg_size,vg_free", group()}));
    const auto fields = split(line);
    if (fields.size() < 2) throw Error{ErrorCode::Internal, "Unexpected output from vgs command"};
    result.space.total = std::stoull(fields[0]);
    result.space.used = result.space.total - std::stoull(fields[1]);
    return result;
}

} // namespace lxdcore::storage
