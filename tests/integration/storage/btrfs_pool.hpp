// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>

#include <lxdcore/error.hpp>

#include "storage/drivers/btrfs/btrfs_driver.hpp"
#include "storage/drivers/btrfs/subvolume.hpp"
#include "support/temp_dir.hpp"
#include "util/helper_program.hpp"

namespace lxdcore::test {

namespace fs = std::filesystem;
using storage::BtrfsDriver;
using storage::PoolContext;
using storage::VolumeId;
using storage::VolumePlace;
namespace btrfs = storage::btrfs;

inline VolumeId volume(const std::string& name, const std::string& snapshot = {}) {
    return {.place = VolumePlace::Instance, .name = name, .snapshot = snapshot};
}

inline std::string error_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

/// A pool in a loop file of its own, which is gone at the end with all that it took.
struct Pool {
    TempDir temp;
    Dir state = Dir::open_or_make((temp / "lxd").string());
    Logger log;
    std::unique_ptr<HelperProgram> helper = std::make_unique<HelperProgram>(std::getenv("LXDCORE_HELPER"));
    api::StringMap config;
    std::unique_ptr<BtrfsDriver> driver;

    explicit Pool(api::StringMap wanted = {{"size", "256MiB"}}) : config{std::move(wanted)} {
        make();
        driver->prepare_config(config);
        make();
        driver->create_pool(config);
        make();
        driver->mount_pool();
    }
    ~Pool() {
        try {
            driver->delete_pool();
        } catch (const std::exception& error) {
            MESSAGE(error.what());
        }
    }
    /// As after a restart of the daemon: nothing is known but the configuration.
    void make() {
        driver = std::make_unique<BtrfsDriver>(PoolContext{"p", config, state, log, helper ? &*helper : nullptr});
    }
    fs::path operator/(const std::string& name) const { return temp / "lxd/storage-pools/p" / name; }
    fs::path disk() const { return temp / "lxd/disks/p.img"; }
    void add(const VolumeId& id) { driver->publish(driver->stage(id)); }
    void clone(const VolumeId& to, const VolumeId& from) { driver->publish(driver->stage_clone(to, from, {})); }
    std::vector<std::string> subvolumes() const {
        std::vector<std::string> paths;
        for (const auto& item : btrfs::nested(Dir::open((*this / "").parent_path().string())))
            paths.push_back(item.path);
        return paths;
    }
};

} // namespace lxdcore::test
