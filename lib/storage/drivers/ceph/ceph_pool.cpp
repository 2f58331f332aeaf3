// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "storage/drivers/ceph/ceph_driver.hpp"
#include "storage/drivers/ceph/ceph_names.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

std::string get(const api::StringMap& config, const std::string& key) {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

} // namespace

const std::string& checked_ceph_name(const std::string& name) {
    const bool fine =
        !name.empty() && name.size() < 128 && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
        std::all_of(name.begin(), name.end(),
                    [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
    if (!fine) throw Error{ErrorCode::Internal, fmt::format("Invalid name {}", text::quote(name))};
    return name;
}

void require_ceph(const Tools& tools) {
    for (const char* tool : {"ceph", "rbd"})
        if (!tools.installed(tool))
            throw Error{ErrorCode::Internal, fmt::format("Required tool '{}' is missing", tool)};
}

CephDriver::CephDriver(const PoolContext& pool) : CephDriver{pool, Backend::real(pool.log)} {}
CephDriver::CephDriver(const PoolContext& pool, Backend backend) : MountedDriver{pool, std::move(backend)} {}

void CephDriver::require_backend() const { require_ceph(tools()); }

std::string CephDriver::osd_pool() const { return checked_ceph_name(value("ceph.osd.pool_name", name())); }

std::vector<std::string> CephDriver::rbd(std::vector<std::string> argv) const {
    std::vector<std::string> line{"rbd",
                                  "--id",
                                  checked_ceph_name(value("ceph.user.name", "admin")),
                                  "--cluster",
                                  checked_ceph_name(value("ceph.cluster_name", "ceph")),
                                  "--pool",
                                  osd_pool()};
    line.insert(line.end(), argv.begin(), argv.end());
    return line;
}

std::vector<std::string> CephDriver::ceph(std::vector<std::string> argv) const {
    std::vector<std::string> line{"ceph", "--name", "client." + checked_ceph_name(value("ceph.user.name", "admin")),
                                  "--cluster", checked_ceph_name(value("ceph.cluster_name", "ceph"))};
    line.insert(line.end(), argv.begin(), argv.end());
    return line;
}

void CephDriver::prepare_config(api::StringMap& config) const {
    require_backend();
    const auto source = get(config, "source");
    auto& pool = config["ceph.osd.pool_name"];
    if (!source.empty() && !pool.empty() && source != pool)
        throw Error{ErrorCode::Internal,
                    "The \"source\" and \"ceph.osd.pool_name\" property must not differ for Ceph OSD "
                    "storage pools"};
    if (pool.empty()) pool = source.empty() ? name() : source;
    config["source"] = checked_ceph_name(pool);
    const auto fill = [&](const char* key, const char* otherwise) {
        if (config[key].empty()) config[key] = otherwise;
        checked_ceph_name(config[key]);
    };
    fill("ceph.cluster_name", "ceph");
    fill("ceph.user.name", "admin");
    fill("ceph.osd.pg_num", "32");
    if (!text::parse_int(config["ceph.osd.pg_num"]))
        throw Error{ErrorCode::Internal,
                    fmt::format("Invalid number of placement groups {}", text::quote(config["ceph.osd.pg_num"]))};
    if (const auto data = get(config, "ceph.osd.data_pool_name"); !data.empty()) checked_ceph_name(data);
}

/// An image of no size marks the pool as one of an LXD.
void CephDriver::create_pool(api::StringMap& config) {
    config_ = config;
    const auto mark = "lxd_" + osd_pool();
    Rollback undo;
    if (!tools().succeeds(ceph({"osd", "pool", "get", osd_pool(), "size"}))) {
        tools().run(ceph({"osd", "pool", "create", osd_pool(), value("ceph.osd.pg_num", "32")}));
        undo.add([&] {
            tools().run(ceph({"osd", "pool", "delete", osd_pool(), osd_pool(), "--yes-i-really-really-mean-it"}));
        });
        tools().run(rbd({"pool", "init", osd_pool()}));
        config["volatile.pool.pristine"] = config_["volatile.pool.pristine"] = "true";
    } else {
        const bool marked = has_object(mark);
        if (marked && !text::is_true(value("ceph.osd.force_reuse")))
            throw Error{ErrorCode::Internal,
                        fmt::format("Pool '{}' in cluster '{}' seems to be in use by another LXD instance. Use "
                                    "'ceph.osd.force_reuse=true' to force",
                                    osd_pool(), value("ceph.cluster_name", "ceph"))};
        config["volatile.pool.pristine"] = config_["volatile.pool.pristine"] = marked ? "false" : "true";
    }
    if (!has_object(mark)) make_image(mark, 0);
    MountedDriver::mount_pool();
    undo.commit();
}

void CephDriver::mount_pool() {
    require_backend();
    if (!has_object("lxd_" + osd_pool()))
        throw Error{ErrorCode::Internal, fmt::format("The OSD pool {} has no placeholder", text::quote(osd_pool()))};
    MountedDriver::mount_pool();
}

/// A pool that others used before keeps all that is not ours.
void CephDriver::delete_pool() {
    if (tools().succeeds(ceph({"osd", "pool", "get", osd_pool(), "size"}))) {
        if (text::is_true(value("volatile.pool.pristine", "false"))) {
            tools().run(ceph({"osd", "pool", "delete", osd_pool(), osd_pool(), "--yes-i-really-really-mean-it"}));
        } else {
            for (const auto& image : list(VolumePlace::Image))
                remove({VolumePlace::Image, image});
            if (has_object("lxd_" + osd_pool())) tools().run(rbd({"rm", "lxd_" + osd_pool()}));
        }
    }
    MountedDriver::delete_pool();
}

void CephDriver::update_pool(const api::StringMap& config) {
    for (const char* key : {"ceph.osd.pool_name", "ceph.cluster_name", "ceph.user.name"})
        if (const auto now = get(config, key); !now.empty()) checked_ceph_name(now);
    config_ = config;
}

api::StoragePoolResources CephDriver::resources() const {
    const auto out = tools().run(ceph({"--format", "json", "df"}));
    const auto report = nlohmann::json::parse(out, nullptr, false);
    if (report.is_object() && report.contains("pools"))
        for (const auto& pool : report["pools"]) {
            if (pool.value("name", "") != osd_pool()) continue;
            api::StoragePoolResources result;
            const auto stats = pool.value("stats", nlohmann::json::object());
            result.space.used = stats.value("bytes_used", std::uint64_t{0});
            result.space.total = result.space.used + stats.value("max_avail", std::uint64_t{0});
            return result;
        }
    throw Error{ErrorCode::Internal, "OSD pool missing in df output"};
}

} // namespace lxdcore::storage
