// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_writer.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "config/validators.hpp"
#include "db/config_repository.hpp"
#include "image/cage.hpp"
#include "storage/block_content.hpp"
#include "storage/tree_archive.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::int64_t kCheckEvery = 16 << 20; ///< bytes between two looks at the free space
constexpr std::chrono::milliseconds kTellEvery{500};
constexpr off_t kTarBlock = 512;
constexpr std::size_t kLongName = 300; ///< whose record may make a header longer

std::string size_text(double bytes) {
    static constexpr std::array units{"B", "kB", "MB", "GB", "TB"};
    std::size_t unit = 0;
    while (bytes >= 1000 && unit + 1 < units.size()) {
        bytes /= 1000;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f}B", bytes) : fmt::format("{:.2f}{}", bytes, units[unit]);
}

} // namespace

Compression backup_compression(db::Database& global, const std::string& wanted) {
    auto value = wanted;
    if (value.empty()) {
        const auto settings = global.read_value([](db::Transaction& tx) { return db::ConfigRepository::all(tx); });
        if (const auto it = settings.find("backups.compression_algorithm"); it != settings.end()) value = it->second;
    }
    if (!value.empty()) config::check::compression(value);
    return Compression::parse(value);
}

std::string progress_text(std::int64_t bytes, std::chrono::nanoseconds taken) {
    const auto seconds = std::max(std::chrono::duration<double>{taken}.count(), 0.001);
    const auto size = static_cast<double>(bytes);
    return fmt::format("{} ({}/s)", size_text(size), size_text(size / seconds));
}

BackupWriter::BackupWriter(int file, const Dir& folder, const Compression& compression, OperationContext& op)
    : file_{file}, plain_{compression.name == "none"}, folder_{folder}, op_{op}, out_{compressed_output(
                                                                                     file, compression, op.stop_token(),
                                                                                     &folder)},
      tar_{[this](const char* data, std::size_t size) { write(data, size); }}, begin_{Clock::now()}, told_{begin_} {}

void BackupWriter::write(const char* data, std::size_t size) {
    if (until_check_ <= 0) {
        if (image::free_space(folder_) <= 0) throw Error{ErrorCode::NoSpace, "No space left for the backup"};
        until_check_ = kCheckEvery;
        op_.throw_if_cancelled();
    }
    until_check_ -= static_cast<std::int64_t>(size);
    out_->write(data, size);
    if (const auto now = Clock::now(); now - told_ >= kTellEvery) {
        told_ = now;
        op_.set_progress("create_backup_progress", progress_text(written(), now - begin_));
    }
}

void BackupWriter::file(const std::string& name, const std::string& content) {
    tar_.entry({.name = name,
                .mode = 0644,
                .size = static_cast<std::int64_t>(content.size()),
                .mtime = {.tv_sec = api::Time::now().unix_seconds(), .tv_nsec = 0}});
    if (!content.empty()) tar_.data(content.data(), content.size());
}

void BackupWriter::file(const std::string& name, const storage::OpenBlock& content) {
    storage::archive_file(content.file.get(), content.size, name, tar_, op_.stop_token());
}

void BackupWriter::file(const std::string& name, const std::function<void(int fd)>& fill) {
    if (plain_ && name.size() < kLongName) return file_in_place(name, fill);
    const auto temporary = ".stream." + text::random_hex(6);
    const auto content = folder_.open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
    folder_.remove(temporary); // what is in it goes with it
    fill(content.get());
    storage::archive_file(content.get(), storage::block_size(content.get()), name, tar_, op_.stop_token());
}

/// The header comes last, into the room that was left for it. A fraction of a second makes it as long for any size.
void BackupWriter::file_in_place(const std::string& name, const std::function<void(int fd)>& fill) {
    std::string header;
    TarWriter tar{[&header](const char* data, std::size_t size) { header.append(data, size); }};
    TarEntry entry{.name = name, .mode = 0600, .mtime = {.tv_sec = api::Time::now().unix_seconds(), .tv_nsec = 1}};
    tar.entry(entry);
    const auto room = static_cast<off_t>(header.size());
    const auto at = ::lseek(file_, 0, SEEK_CUR);
    if (at < 0 || ::lseek(file_, room, SEEK_CUR) < 0) throw_errno("backup");
    fill(file_);
    const auto end = ::lseek(file_, 0, SEEK_END);
    if (end < 0) throw_errno("backup");
    entry.size = end - at - room;
    header.clear();
    tar.entry(entry);
    if (static_cast<off_t>(header.size()) != room) throw Error{ErrorCode::Internal, "tar: header has another size"};
    if (::pwrite(file_, header.data(), header.size(), at) != static_cast<ssize_t>(header.size())) throw_errno("backup");
    const auto next = (end + kTarBlock - 1) / kTarBlock * kTarBlock;
    if (::ftruncate(file_, next) != 0 || ::lseek(file_, next, SEEK_SET) < 0) throw_errno("backup");
    in_place_ += next - at;
    op_.set_progress("create_backup_progress", progress_text(written(), Clock::now() - begin_));
}

void BackupWriter::finish() {
    tar_.finish();
    out_->finish();
    op_.set_progress("create_backup_progress", progress_text(written(), Clock::now() - begin_));
}

} // namespace lxdcore::instance
