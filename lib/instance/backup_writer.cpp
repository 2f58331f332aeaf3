// SPDX-License-Identifier: Apache-2.0
#include "instance/backup_writer.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "config/validators.hpp"
#include "db/config_repository.hpp"
#include "image/cage.hpp"
#include "storage/tree_archive.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::int64_t kCheckEvery = 16 << 20; ///< bytes between two looks at the free space
constexpr std::chrono::milliseconds kTellEvery{500};

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
    : folder_{folder}, op_{op}, out_{compressed_output(file, compression, op.stop_token(), &folder)},
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
        op_.set_progress("create_backup_progress", progress_text(out_->written(), now - begin_));
    }
}

void BackupWriter::file(const std::string& name, const std::string& content) {
    tar_.entry({.name = name,
                .mode = 0644,
                .size = static_cast<std::int64_t>(content.size()),
                .mtime = {.tv_sec = api::Time::now().unix_seconds(), .tv_nsec = 0}});
    if (!content.empty()) tar_.data(content.data(), content.size());
}

void BackupWriter::file(const std::string& name, int fd) { storage::archive_file(fd, name, tar_, op_.stop_token()); }

void BackupWriter::finish() {
    tar_.finish();
    out_->finish();
    op_.set_progress("create_backup_progress", progress_text(out_->written(), Clock::now() - begin_));
}

} // namespace lxdcore::instance
