// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/cephfs/cephfs_driver.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/ceph/ceph_names.hpp"
#include "storage/file_copy.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::string_view kTake = ".take-";
constexpr std::size_t kRandom = 24; ///< digits of the random part of a name

std::string get(const api::StringMap& config, const std::string& key, const std::string& otherwise = {}) {
    const auto it = config.find(key);
    return it == config.end() || it->second.empty() ? otherwise : it->second;
}

/// rename(2) would replace an empty directory.
void move(const Dir& dir, const std::string& from, const std::string& to) {
    if (dir.exists(to)) throw Error{ErrorCode::AlreadyExists, fmt::format("{}/{} exists already", dir.path(), to)};
    dir.replace(from, to);
}

/// Addresses of the monitors as the kernel takes them: "10.0.0.1:6789,10.0.0.2:6789"; of the first protocol where all
/// speak it.
std::string monitors(const std::string& dump, bool& second_protocol) {
    const auto report = nlohmann::json::parse(dump, nullptr, false);
    for (const char* type : {"v1", "v2"}) {
        std::vector<std::string> addresses;
        if (report.is_object() && report.contains("mons"))
            for (const auto& monitor : report["mons"])
                for (const auto& address :
                     monitor.value(nlohmann::json::json_pointer{"/public_addrs/addrvec"}, nlohmann::json::array()))
                    if (address.value("type", "") == type) addresses.push_back(address.value("addr", ""));
        second_protocol = type == std::string_view{"v2"};
        if (!addresses.empty()) return text::join(addresses, ",");
    }
    throw Error{ErrorCode::Internal, "No Ceph monitor found"};
}

} // namespace

CephfsDriver::CephfsDriver(const PoolContext& pool) : CephfsDriver{pool, Backend::real(pool.log)} {}
CephfsDriver::CephfsDriver(const PoolContext& pool, Backend backend) : TreeDriver{pool}, backend_{std::move(backend)} {}

void CephfsDriver::require_backend() const { require_ceph(*backend_.tools); }

std::vector<std::string> CephfsDriver::ceph(const api::StringMap& config, std::vector<std::string> argv) const {
    std::vector<std::string> line{"ceph", "--name",
                                  "client." + checked_ceph_name(get(config, "cephfs.user.name", "admin")), "--cluster",
                                  checked_ceph_name(get(config, "cephfs.cluster_name", "ceph"))};
    line.insert(line.end(), argv.begin(), argv.end());
    return line;
}

/// "name" or "name/dir/dir".
CephfsDriver::Source CephfsDriver::source(const api::StringMap& config) const {
    const auto whole = get(config, "source");
    const auto slash = whole.find('/');
    Source result{checked_ceph_name(whole.substr(0, slash)), "/"};
    if (slash == std::string::npos) return result;
    for (const auto& part : text::split(whole.substr(slash + 1), '/')) {
        if (part.empty()) continue;
        if (result.path != "/") result.path += "/";
        result.path += checked_name(part);
    }
    return result;
}

void CephfsDriver::prepare_config(api::StringMap& config) const {
    require_backend();
    if (get(config, "source").empty()) throw Error{ErrorCode::Internal, "Missing required source name/path"};
    if (!get(config, "cephfs.path").empty() && config["cephfs.path"] != config["source"])
        throw Error{ErrorCode::Internal, "cephfs.path must match the source"};
    const auto from = source(config);
    config["cephfs.cluster_name"] = get(config, "cephfs.cluster_name", "ceph");
    config["cephfs.user.name"] = get(config, "cephfs.user.name", "admin");
    config["cephfs.path"] = config["source"];
    if (!backend_.tools->succeeds(ceph(config, {"fs", "get", from.filesystem})))
        throw Error{ErrorCode::Internal, fmt::format("The requested '{}' CEPHFS doesn't exist", from.filesystem)};
}

std::pair<std::string, std::string> CephfsDriver::mountable(const std::string& path) const {
    bool second = false;
    const auto addresses = monitors(backend_.tools->run(ceph(config_, {"--format", "json", "mon", "dump"})), second);
    const auto user = checked_ceph_name(get(config_, "cephfs.user.name", "admin"));
    const auto key = text::trim(backend_.tools->run(ceph(config_, {"auth", "get-key", "client." + user})));
    auto options = fmt::format("name={},secret={},mds_namespace={}", user, key, source(config_).filesystem);
    if (second) options += ",ms_mode=prefer-crc";
    if (text::is_true(option("cephfs.fscache"))) options += ",fsc";
    return {addresses + ":" + path, options};
}

void CephfsDriver::create_pool(api::StringMap& config) {
    const auto path = source(config).path;
    {
        const auto [what, options] = mountable("/");
        const auto scratch = state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711);
        const auto top = backend_.host->mount_detached(what, scratch, "ceph", options);
        const auto inside = path == "/" ? top.clone() : top.make_dir(path.substr(1), 0755);
        for (const auto& name : inside.list()) // what an interrupted creation left is no content
            if (!S_ISDIR(inside.stat(name).st_mode) || !inside.dir(name).list().empty())
                throw Error{ErrorCode::Internal, "Only empty CEPHFS paths can be used as a LXD storage pool"};
    }
    config["volatile.pool.pristine"] = "true";
    mount_pool();
}

void CephfsDriver::mount_pool() {
    require_backend();
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    const auto point = pools.make_dir(name_, 0711);
    if (!backend_.host->mounted(pools, name_)) {
        const auto [what, options] = mountable(source(config_).path);
        backend_.host->mount(what, point, "ceph", options);
    }
    make_layout(root());
}

void CephfsDriver::delete_pool() {
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    if (!pools.exists(name_)) return;
    if (backend_.host->mounted(pools, name_)) {
        remove_layout(root());
        backend_.host->unmount(pools, name_);
    }
    pools.remove_tree(name_);
}

void CephfsDriver::update_pool(const api::StringMap& config) {
    for (const char* key : {"cephfs.cluster_name", "cephfs.user.name"})
        if (const auto now = get(config, key); !now.empty()) checked_ceph_name(now);
    if (get(config, "cephfs.path", option("cephfs.path")) != option("cephfs.path"))
        throw Error{ErrorCode::Internal, "cephfs.path must match the source"};
}

void CephfsDriver::make_entry(const Dir& parent, const std::string& name, mode_t mode) const {
    parent.make_dir(name, mode);
}

void CephfsDriver::remove_entry(const Dir& parent, const std::string& name) const { parent.remove_tree(name); }

Staged CephfsDriver::stage(const VolumeId& as) {
    checked_name(as.name);
    if (as.place != VolumePlace::Custom)
        throw Error{ErrorCode::Internal, "Storage pool does not support instance type"};
    return TreeDriver::stage(as);
}

Staged CephfsDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    auto staged = stage(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    copy_tree(open(source), open_staged(staged), {.stop = std::move(stop), .devices = true});
    undo.commit();
    return staged;
}

void CephfsDriver::publish(const Staged& staged) { move(make_parent(staged.as), staged.name, leaf(staged.as)); }

void CephfsDriver::exchange(const Staged& staged) {
    const auto parent = make_parent(staged.as);
    const auto taker = fmt::format("{}{}-{}", kTake, text::random_hex(kRandom / 2), leaf(staged.as));
    move(parent, staged.name, taker);
    move(parent, leaf(staged.as), staged.name);
    move(parent, taker, leaf(staged.as));
}

void CephfsDriver::rename(const VolumeId& volume, const std::string& to) {
    checked_name(to);
    const auto once = [&](const Dir& dir, const std::string& from) {
        if (dir.exists(from) || !dir.exists(to)) move(dir, from, to);
    };
    if (const auto parent = find_parent(volume)) once(*parent, leaf(volume));
    if (!volume.snapshot.empty()) return;
    const auto snapshots = root().dir(snapshots_of(volume.place));
    if (snapshots.exists(volume.name)) once(snapshots, volume.name);
}

std::optional<Staged> CephfsDriver::set_aside(const VolumeId& volume) {
    const auto parent = find_parent(volume);
    if (!parent || !parent->exists(leaf(volume))) return std::nullopt;
    Staged trash{volume, ".old-" + text::random_hex(kRandom / 2)};
    move(*parent, leaf(volume), trash.name);
    return trash;
}

void CephfsDriver::sweep_directory(const Dir& dir) const {
    for (const auto& name : dir.list()) {
        if (!name.starts_with(kTake) || name.size() <= kTake.size() + kRandom + 1) continue;
        const auto place = name.substr(kTake.size() + kRandom + 1);
        if (dir.exists(place)) move(dir, place, ".old-" + text::random_hex(kRandom / 2));
        move(dir, name, place);
    }
}

void CephfsDriver::sweep() {
    sweep_directory(root().dir(dir_of(VolumePlace::Custom)));
    const auto snapshots = root().dir(snapshots_of(VolumePlace::Custom));
    for (const auto& volume : snapshots.list())
        sweep_directory(snapshots.dir(volume));
    TreeDriver::sweep();
}

void CephfsDriver::set_quota(const VolumeId& volume, std::int64_t bytes) {
    backend_.host->set_attribute(open(volume), "ceph.quota.max_bytes",
                                 std::to_string(std::max<std::int64_t>(bytes, 0)));
}

std::int64_t CephfsDriver::usage(const VolumeId& volume) const {
    if (!volume.snapshot.empty()) return -1; // what it shares is not known
    return text::parse_int(backend_.host->attribute(open(volume), "ceph.dir.rbytes")).value_or(-1);
}

} // namespace lxdcore::storage
