// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <lxdcore/operation.hpp>

#include "db/database.hpp"
#include "storage/volume_mounts.hpp"
#include "util/compressed_output.hpp"
#include "util/dir.hpp"
#include "util/tar_writer.hpp"

namespace lxdcore::instance {

/// The archive of a backup while it is written: compressed, with progress for the client, and only as long as the
/// filesystem keeps its floor of free space (R54). Thread-bound.
class BackupWriter {
public:
    /// @p file and @p folder, in which it lies, are borrowed.
    BackupWriter(int file, const Dir& folder, const Compression& compression, OperationContext& op);
    TarWriter& tar() { return tar_; }
    void file(const std::string& name, const std::string& content); ///< a whole entry
    /// All of an open file, holes and all.
    void file(const std::string& name, const storage::OpenBlock& content);
    /// A file whose size nobody knows before @p fill has written it: straight into an archive that is not compressed,
    /// else by way of a nameless file.
    void file(const std::string& name, const std::function<void(int fd)>& fill);
    void finish();

private:
    using Clock = std::chrono::steady_clock;
    void write(const char* data, std::size_t size);
    void file_in_place(const std::string& name, const std::function<void(int fd)>& fill);
    std::int64_t written() const { return out_->written() + in_place_; }
    const int file_;
    const bool plain_;
    const Dir& folder_;
    OperationContext& op_;
    std::unique_ptr<CompressedOutput> out_;
    TarWriter tar_;
    const Clock::time_point begin_;
    Clock::time_point told_;
    std::int64_t until_check_ = 0, in_place_ = 0;
};

/// How a backup is compressed: as asked, or as the server is set. @throws Error InvalidArgument
Compression backup_compression(db::Database& global, const std::string& wanted);

/// "2.65MB (2.38MB/s)"
std::string progress_text(std::int64_t bytes, std::chrono::nanoseconds taken);

} // namespace lxdcore::instance
