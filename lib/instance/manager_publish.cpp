// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/metadata.hpp>

#include "image/cage.hpp"
#include "instance/architecture.hpp"
#include "instance/creation.hpp"
#include "operation/operation_types.hpp"
#include "operation/progress.hpp"
#include "storage/server_folders.hpp"
#include "storage/tree_archive.hpp"
#include "util/compressed_output.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/process.hpp"
#include "util/steps.hpp"
#include "util/tar_writer.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr const char* kMetadata = "metadata.yaml";
constexpr std::int64_t kCheckEvery = 16 << 20; ///< bytes between two looks at the free space

/// What an image of the instance says about itself: as the instance's own, of now.
api::ImageMetadata image_metadata(const Dir& volume, const Loaded& instance, const PublishRequest& request) {
    api::ImageMetadata out;
    if (volume.exists(kMetadata)) out = api::metadata_from_yaml(volume.read(kMetadata));
    if (out.architecture.empty()) out.architecture = architecture_name(instance.row.architecture);
    out.creation_date = api::Time::now().unix_seconds();
    out.expiry_date = request.expires_at.unix_seconds();
    if (!request.properties.empty()) out.properties = request.properties;
    return out;
}

void add_file(TarWriter& tar, const std::string& name, const std::string& content) {
    TarEntry entry{.name = name, .mode = 0644, .size = static_cast<std::int64_t>(content.size())};
    entry.mtime.tv_sec = api::Time::now().unix_seconds();
    tar.entry(entry);
    tar.data(content.data(), content.size());
}

using ByteSink = std::function<void(const char* data, std::size_t size)>;

void read_all(int fd, const ByteSink& store) {
    std::vector<char> block(1 << 20);
    for (;;) {
        const auto n = ::read(fd, block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read");
        if (n == 0) return;
        store(block.data(), static_cast<std::size_t>(n));
    }
}

struct Packing {
    const Dir& volume;
    const Dir& rootfs; ///< of it
    const Dir& images; ///< where a squashfs is made
    const api::ImageMetadata& metadata;
    const IdMap& ids;
    Compression compression;
};

void pack(const Packing& what, int out, Progress& progress, const std::stop_token& stop) {
    const auto output = compressed_output(out, what.compression, stop, &what.images);
    std::int64_t packed = 0, check = kCheckEvery;
    TarWriter tar{[&](const char* data, std::size_t size) {
        if (packed >= check) { // a squashfs is first made beside the images
            if (image::free_space(what.images) <= 0) throw Error{ErrorCode::NoSpace, "No space left for the image"};
            check += kCheckEvery;
        }
        output->write(data, size);
        progress.at(packed += static_cast<std::int64_t>(size));
    }};
    add_file(tar, kMetadata, api::metadata_to_yaml(what.metadata));
    storage::ArchiveOptions options{.prefix = "rootfs", .stop = stop};
    if (!what.ids.ranges.empty()) options.map_id = [&](std::int64_t id) { return what.ids.ns_uid(id).value_or(0); };
    storage::archive_tree(what.rootfs, tar, options);
    if (what.volume.exists("templates"))
        storage::archive_tree(what.volume.dir("templates"), tar, {.prefix = "templates", .stop = stop});
    tar.finish();
    output->finish();
    progress.finish();
}

} // namespace

OperationPtr Manager::publish(const PublishRequest& request) {
    const auto compression = Compression::parse(request.compression);
    if (!compression.available()) { // as LXD, which has another program for these
        const auto program = compression.name == "squashfs" ? "tar2sqfs" : compression.name;
        throw Error{ErrorCode::InvalidArgument,
                    fmt::format("exec: {}: executable file not found in $PATH", text::quote(program))};
    }
    const InstanceRef ref{request.project, request.instance};
    const auto instance = load(ref);
    if (!request.snapshot.empty() && !s_.global.read_value([&](db::Transaction& tx) {
            return snapshot_repo_.find(tx, instance.row.id, request.snapshot);
        }))
        throw Error{ErrorCode::NotFound, "Instance not found"};
    for (const auto& alias : request.aliases)
        names::check_alias(alias.name);
    OperationOptions options{.type = kImageDownload, .project = request.project, .resources = {}};
    return s_.operations.start(std::move(options), [this, request](OperationContext& op) { run_publish(request, op); });
}

void Manager::run_publish(const PublishRequest& request, OperationContext& op) {
    const InstanceRef ref{request.project, request.instance};
    const auto claim = claims_.share(ref, "publish", kPatience);
    Steps steps{s_.log, "instance publish", ref.name};
    auto instance = load(ref);
    const bool live = request.snapshot.empty();
    if (live && runtime_.find(ref)) throw Error{ErrorCode::BadState, "Cannot export a running instance as an image"};
    if (!live) instance.row.config = load_snapshot(instance, request.snapshot).config;
    const auto mounted = live ? s_.storage.open_instance(ref.project, ref.name)
                              : s_.storage.open_instance_snapshot(ref.project, ref.name, request.snapshot);
    const auto& volume = mounted.dir;
    for (const auto& alias : s_.image.aliases(request.project))
        for (const auto& wanted : request.aliases)
            if (alias.name == wanted.name) throw Error{ErrorCode::AlreadyExists, "Alias already exists: " + alias.name};
    const auto metadata = image_metadata(volume, instance, request);
    const auto ids = disk_idmap(instance);
    const auto rootfs = volume.dir("rootfs");
    Progress progress{op, "create_image_from_container_pack", "Image pack",
                      storage::archive_bytes(rootfs, op.stop_token())};

    // Packed and compressed on a thread of its own; here the result is hashed and stored.
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
    const UniqueFd in{ends[0]};
    UniqueFd out{ends[1]};
    std::exception_ptr failure;
    std::stop_source halt;
    const std::stop_callback forward{op.stop_token(), [&] { halt.request_stop(); }};
    std::jthread packer{[&, stop = halt.get_token()] {
        try {
            const auto images = storage::PoolAccess::of(s_.storage).server_folders().images().use();
            pack({volume, rootfs, *images, metadata, ids, Compression::parse(request.compression)}, out.get(), progress,
                 stop);
        } catch (...) {
            failure = std::current_exception();
        }
        out.reset();
    }};
    ImageUpload upload{.project = request.project, .filename = request.filename, .is_public = request.is_public};
    upload.profiles = request.profiles;
    for (const auto& alias : request.aliases)
        upload.aliases.push_back({.name = alias.name, .description = alias.description});
    try {
        s_.image.import_stream(
            upload,
            [&](const ByteSink& store) {
                read_all(in.get(), store);
                packer.join();
                steps.done("packed");
                if (failure) std::rethrow_exception(failure);
                fault_point("instance-publish:packed");
            },
            op);
    } catch (...) {
        halt.request_stop();
        if (packer.joinable()) read_all(in.get(), [](const char*, std::size_t) {}); // it may wait for room
        throw;
    }
    fault_point("instance-publish:image");
    steps.done("imported");
    for (const auto& alias : upload.aliases) {
        const auto made = s_.image.alias(request.project, alias.name, false);
        s_.events.lifecycle(request.project, "image-alias-created", "/1.0/images/aliases/" + alias.name,
                            {{"target", made.target}});
    }
}

} // namespace lxdcore::instance

namespace lxdcore {

InstancePublishService::~InstancePublishService() = default;

} // namespace lxdcore
