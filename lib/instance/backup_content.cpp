// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_content.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <iterator>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
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

using Use = std::function<void(std::size_t member, int fd)>;

constexpr int kStreamBuffer = 1 << 20;

/// Both ends of a stream. No pipe: a writer ends it whoever else has that end open.
std::pair<UniqueFd, UniqueFd> make_stream() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &kStreamBuffer, sizeof kStreamBuffer); // the usual works too
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

void require_end(int fd) {
    char byte = 0;
    ssize_t got = 0;
    do
        got = ::read(fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got > 0) throw Error{ErrorCode::InvalidArgument, "The backup holds more than its stream"};
}

/// Members [first, first + most) of the archive into @p use, one after the other; gives how many came in that order.
/// What came to nothing because of another order may have been used in vain.
std::size_t stream_some(const image::Cage& cage, int archive, const std::vector<std::string>& names, std::size_t first,
                        std::size_t most, const Dir& space, const std::stop_token& stop, const Use& use) {
    std::vector<UniqueFd> reading, writing;
    std::vector<image::Cage::Member> members;
    for (auto i = first; i < std::min(names.size(), first + most); ++i) {
        auto [in, out] = make_stream();
        members.push_back({names[i], out.get()});
        reading.push_back(std::move(in));
        writing.push_back(std::move(out));
    }
    std::exception_ptr unpacking, using_it;
    std::size_t came = 0, used = 0;
    {
        const std::jthread unpack{[&] {
            try {
                came = cage.stream(archive, members, space, stop, [&] { writing.clear(); });
            } catch (...) {
                unpacking = std::current_exception();
            }
            writing.clear();
        }};
        try {
            for (; used < members.size(); ++used) {
                use(first + used, reading[used].get());
                require_end(reading[used].get());
                reading[used].reset();
            }
        } catch (...) {
            using_it = std::current_exception();
        }
        reading.clear(); // what is still written ends with an error
    }
    if (!unpacking && came <= used && came < members.size()) return came;
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
    return came;
}

void stream_members(const image::Cage& cage, int archive, const std::vector<std::string>& names, const Dir& space,
                    const std::stop_token& stop, const Use& use) {
    const auto most = image::Cage::most_parts(archive);
    bool ordered = true;
    for (std::size_t done = 0; done < names.size();) {
        const auto came = stream_some(cage, archive, names, done, ordered ? most : 1, space, stop, use);
        ordered = came > 0;
        done += came;
    }
}

} // namespace

/// The staging of one backup.
struct BackupContent::Work {
    const BackupContent& content;
    const HelperProgram& helper;
    storage::StorageDriver& driver;
    const std::vector<storage::VolumeId>& as;
    const Dir& space;
    const std::stop_token& stop;
    std::vector<storage::Staged> staged = {};

    int archive() const { return *content.archive; }
    std::string name_of(std::size_t volume) const { return content.layout().at(as[volume].snapshot); }

    void receive() {
        auto* streams = driver.send_receive();
        if (streams == nullptr) throw Error{ErrorCode::InvalidArgument, "The storage pool takes no optimized backups"};
        struct Item {
            std::size_t volume;
            const BackupPart& part;
        };
        std::vector<Item> items;
        std::vector<std::string> names;
        for (std::size_t volume = 0; volume < as.size(); ++volume)
            for (const auto& part : content.parts) {
                if (part.snapshot != as[volume].snapshot) continue;
                items.push_back({volume, part});
                names.push_back(part_file(content.layout(), part));
            }
        std::unique_ptr<storage::SendReceiveOps::Sink> sink; // of the volume behind those that are staged
        stream_members(image::Cage{helper}, archive(), names, space, stop, [&](std::size_t i, int fd) {
            const auto& [volume, part] = items[i];
            if (sink && volume > staged.size()) staged.push_back(std::exchange(sink, nullptr)->finish());
            if (!sink) sink = streams->sink(as[volume]);
            sink->receive({.path = part.path, .read_only = part.read_only}, fd, stop);
            fault_point("import:part");
        });
        if (sink) staged.push_back(sink->finish());
    }

    void copy_blocks() {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < as.size(); ++i)
            names.push_back(name_of(i) + ".img");
        if (driver.blocks_are_devices())
            return stream_members(image::Cage{helper}, archive(), names, space, stop, [&](std::size_t i, int fd) {
                storage::copy_block(fd, driver.open_staged_block(staged[i]).get(), stop);
            });
        std::vector<UniqueFd> files;
        std::vector<image::Cage::Member> members;
        for (std::size_t i = 0; i < as.size(); ++i) {
            files.push_back(driver.open_staged(staged[i]).open_file("root.img", O_RDWR | O_CREAT | O_EXCL, 0600));
            members.push_back({names[i], files.back().get()});
        }
        in_passes(members, [&](const auto& some) { image::Cage{helper}.extract(archive(), some, space, stop); });
        for (const auto& file : files)
            if (::fsync(file.get()) != 0) throw_errno("root.img");
    }

    void unpack_trees() {
        std::vector<image::Cage::Tree> trees;
        for (std::size_t i = 0; i < as.size(); ++i)
            trees.push_back({name_of(i), driver.open_staged(staged[i])});
        in_passes(trees, [&](const auto& some) {
            const image::Cage cage{helper};
            if (content.kind == Kind::Filesystem) return cage.unpack_trees(archive(), some, stop);
            if (content.devices) return image::unpack_backup_with_devices(helper, archive(), some, stop);
            cage.unpack_backup(archive(), some, stop);
        });
    }

    template <class Item>
    void in_passes(std::vector<Item>& items, const auto& pass) const {
        const auto most = image::Cage::most_parts(archive());
        for (std::size_t at = 0; at < items.size(); at += most) {
            const auto begin = items.begin() + static_cast<std::ptrdiff_t>(at);
            const auto end = items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), at + most));
            pass(std::vector<Item>{std::make_move_iterator(begin), std::make_move_iterator(end)});
        }
    }

    void verify() const {
        const bool streams = !content.parts.empty();
        for (const auto& one : staged) {
            if (content.kind == Kind::Block && driver.blocks_are_devices()) return;
            const auto tree = driver.open_staged(one);
            if (content.kind == Kind::Instance) verify_instance(tree, streams && !one.as.snapshot.empty());
            if (content.kind == Kind::Block) verify_block(tree);
        }
    }
};

std::vector<storage::Staged> BackupContent::stage(const HelperProgram& helper, storage::StorageDriver& driver,
                                                  const std::vector<storage::VolumeId>& as, const Dir& space,
                                                  const std::stop_token& stop) const {
    Work work{*this, helper, driver, as, space, stop};
    Rollback undo;
    undo.add([&] {
        for (const auto& one : work.staged)
            driver.discard(one);
    });
    if (!parts.empty()) {
        work.receive();
    } else {
        for (const auto& volume : as)
            work.staged.push_back(driver.stage(volume));
        if (kind == Kind::Block)
            work.copy_blocks();
        else
            work.unpack_trees();
    }
    work.verify();
    undo.commit();
    return std::move(work.staged);
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
