// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/extension/extension_driver.hpp"

#include <sys/stat.h>

#include "storage/file_copy.hpp"
#include "storage/filesystem_mount.hpp"
#include "util/rollback.hpp"

namespace lxdcore {

StorageBackend::~StorageBackend() = default;
void StorageBackend::update(const api::StringMap&) {}
bool StorageBackend::clone_tree(int, int) { return false; }

namespace storage {

ExtensionDriver::ExtensionDriver(const PoolContext& pool, std::unique_ptr<StorageBackend> backend)
    : TreeDriver{pool}, backend_{std::move(backend)} {
    if (!backend_) throw Error{ErrorCode::Internal, "The program's driver made no backend"};
}

void ExtensionDriver::prepare_config(api::StringMap& config) const {
    api::StringMap own;
    for (const auto& [key, value] : config)
        if (!key.starts_with("user.") && !value.empty()) own.emplace(key, value);
    backend_->prepare(own);
    std::erase_if(config, [](const auto& item) { return !item.first.starts_with("user."); });
    config.merge(own);
}

void ExtensionDriver::create_pool(api::StringMap&) {
    backend_->create();
    mount_pool();
}

void ExtensionDriver::mount_pool() {
    const auto place = state_dir_.make_dir("storage-pools", 0711).make_dir(name_, 0711);
    if (!is_mount_point(place)) backend_->mount(own_path());
    const auto top = root();
    if (!is_mount_point(top)) throw Error{ErrorCode::Unavailable, "The program's driver has mounted nothing"};
    if (::fchmod(top.fd(), 0711) != 0) throw_errno(top.path());
    make_layout(top);
}

void ExtensionDriver::update_pool(const api::StringMap& config) {
    auto checked = config;
    prepare_config(checked);
    backend_->update(checked);
}

void ExtensionDriver::delete_pool() {
    const auto pools = state_dir_.make_dir("storage-pools", 0711);
    if (pools.exists(name_)) backend_->unmount(own_path());
    backend_->destroy();
    pools.remove(name_);
}

Staged ExtensionDriver::stage_clone(const VolumeId& as, const VolumeId& source, std::stop_token stop) {
    auto staged = stage(as);
    Rollback undo;
    undo.add([&] { discard(staged); });
    const auto from = open(source), to = open_staged(staged);
    if (!backend_->clone_tree(from.fd(), to.fd())) copy_tree(from, to, {.stop = stop, .devices = true});
    undo.commit();
    return staged;
}

void ExtensionDriver::make_entry(const Dir& parent, const std::string& name, mode_t mode) const {
    parent.make_dir(name, mode);
}

void ExtensionDriver::remove_entry(const Dir& parent, const std::string& name) const { parent.remove_tree(name); }

} // namespace storage

} // namespace lxdcore
