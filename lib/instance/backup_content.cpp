// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_content.hpp"

#include <exception>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "image/device_nodes.hpp"
#include "storage/block_content.hpp"
#include "util/fault_point.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

/// R2: what the daemon opens later is what it seems, and only root reaches what is in it.
void verify_instance(const Dir& tree, bool closed) {
    const auto rootfs = tree.stat_if_exists("rootfs"), templates = tree.stat_if_exists("templates"),
               metadata = tree.stat_if_exists("metadata.yaml");
    if (!rootfs || !S_ISDIR(rootfs->st_mode) || (templates && !S_ISDIR(templates->st_mode)) ||
        (metadata && !S_ISREG(metadata->st_mode)))
        throw Error{ErrorCode::InvalidArgument, "The backup holds no instance"};
    if ((tree.stat("").st_mode & 0077) == 0) return;
    if (closed) throw Error{ErrorCode::InvalidArgument, "The backup holds a snapshot that is open to everybody"};
    if (::fchmod(tree.fd(), 0100) != 0) throw_errno(tree.path());
}

void verify_block(const Dir& tree) {
    const auto image = tree.stat_if_exists("root.img");
    if (!image || !S_ISREG(image->st_mode) || image->st_nlink != 1)
        throw Error{ErrorCode::InvalidArgument, "The backup holds no block volume"};
}

/// One member of the archive into @p use, which reads from the descriptor that it gets.
void stream_member(const image::Cage& cage, int archive, const std::string& member, const Dir& space,
                   const std::stop_token& stop, const std::function<void(int fd)>& use) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
    UniqueFd reading{ends[0]}, writing{ends[1]};
    std::exception_ptr unpacking, using_it;
    {
        const std::jthread unpack{[&] {
            try {
                cage.extract(archive, member, writing.get(), space, stop);
            } catch (...) {
                unpacking = std::current_exception();
            }
            writing.reset();
        }};
        try {
            use(reading.get());
        } catch (...) {
            using_it = std::current_exception();
        }
        reading.reset(); // what is still written ends with an error
    }
    // An archive that is wrong explains why its stream could not be used; a stream that is wrong ends the unpacking.
    if (using_it && unpacking) {
        try {
            std::rethrow_exception(unpacking);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::InvalidArgument || error.code() == ErrorCode::NoSpace) throw;
        }
    }
    if (using_it) std::rethrow_exception(using_it);
    if (unpacking) std::rethrow_exception(unpacking);
}

} // namespace

storage::Staged BackupContent::receive(const image::Cage& cage, storage::StorageDriver& driver,
                                       const storage::VolumeId& as, const std::string& snapshot, const Dir& space,
                                       const std::stop_token& stop) const {
    auto* streams = driver.send_receive();
    if (streams == nullptr) throw Error{ErrorCode::InvalidArgument, "The storage pool takes no optimized backups"};
    const auto sink = streams->sink(as);
    for (const auto& part : parts) {
        if (part.snapshot != snapshot) continue;
        stream_member(cage, *archive, part_file(layout(), part), space, stop,
                      [&](int fd) { sink->receive({.path = part.path, .read_only = part.read_only}, fd, stop); });
        fault_point("import:part");
    }
    return sink->finish();
}

storage::Staged BackupContent::stage(const HelperProgram& helper, storage::StorageDriver& driver,
                                     const storage::VolumeId& as, const std::string& snapshot, const Dir& space,
                                     const std::stop_token& stop) const {
    const image::Cage cage{helper};
    auto staged = parts.empty() ? driver.stage(as) : receive(cage, driver, as, snapshot, space, stop);
    Rollback undo;
    undo.add([&] { driver.discard(staged); });
    const auto from = layout().at(snapshot);
    if (kind == Kind::Block && driver.blocks_are_devices()) {
        if (parts.empty())
            stream_member(cage, *archive, from + ".img", space, stop,
                          [&](int fd) { storage::copy_block(fd, driver.open_staged_block(staged).get(), stop); });
        undo.commit();
        return staged;
    }
    const auto tree = driver.open_staged(staged);
    if (parts.empty()) {
        switch (kind) {
        case Kind::Instance:
            if (devices)
                image::unpack_backup_with_devices(helper, *archive, tree, from, stop);
            else
                cage.unpack_backup(*archive, tree, from, stop);
            break;
        case Kind::Filesystem:
            cage.unpack_tree(*archive, tree, from, stop);
            break;
        case Kind::Block: {
            const auto image = tree.open_file("root.img", O_RDWR | O_CREAT | O_EXCL, 0600);
            cage.extract(*archive, from + ".img", image.get(), tree, stop);
            if (::fsync(image.get()) != 0) throw_errno("root.img");
            break;
        }
        }
    }
    if (kind == Kind::Instance) verify_instance(tree, !parts.empty() && !snapshot.empty());
    if (kind == Kind::Block) verify_block(tree);
    undo.commit();
    return staged;
}

std::vector<BackupPart> backup_parts(const image::Cage& cage, int archive, const std::string& backend,
                                     const std::vector<std::string>& snapshots, const std::string& pool_driver) {
    if (backend != pool_driver)
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("Optimized backup storage driver {} differs from the target storage pool driver {}",
                                text::quote(backend), text::quote(pool_driver))};
    return read_parts(cage.backup_document(archive, "backup/optimized_header.yaml", {}), snapshots);
}

} // namespace lxdcore::instance
