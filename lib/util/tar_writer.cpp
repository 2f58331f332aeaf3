// SPDX-License-Identifier: Apache-2.0
#include "util/tar_writer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore {

namespace {

constexpr std::int64_t kBlock = 512;
constexpr std::int64_t kMaxId = 07777777;
constexpr std::int64_t kMaxNumber = 077777777777;
constexpr std::size_t kMaxName = 100;

/// The fields of a ustar header, by their places.
struct Field {
    std::size_t at, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kMtime{136, 12}, kSum{148, 8},
    kLink{157, 100}, kMagic{257, 8}, kMajor{329, 8}, kMinor{337, 8};
constexpr std::size_t kType = 156;

using Block = std::array<char, kBlock>;

void put(Block& block, Field field, std::string_view text) {
    std::memcpy(block.data() + field.at, text.data(), std::min(text.size(), field.size));
}
void put_number(Block& block, Field field, std::int64_t number, std::int64_t most) {
    put(block, field, fmt::format("{:0{}o}", number < 0 || number > most ? 0 : number, field.size - 1));
}

/// One pax record: its own length, which counts itself, then "key=value".
std::string record(std::string_view key, std::string_view value) {
    const auto rest = key.size() + value.size() + 3;
    auto size = rest + 1;
    while (std::to_string(size).size() + rest != size)
        size = std::to_string(size).size() + rest;
    return fmt::format("{} {}={}\n", size, key, value);
}

std::string time_text(const timespec& time) {
    return time.tv_nsec == 0 ? std::to_string(time.tv_sec) : fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec);
}

/// The map of GNU.sparse 1.0 stands before the data.
std::string sparse_map(const TarEntry& entry) {
    auto extents = entry.extents;
    // What ends in a hole says so with an extent of nothing.
    if (extents.back().offset + extents.back().size < entry.size) extents.push_back({entry.size, 0});
    auto map = fmt::format("{}\n", extents.size());
    for (const auto& extent : extents)
        map += fmt::format("{}\n{}\n", extent.offset, extent.size);
    map.resize((map.size() + kBlock - 1) / kBlock * kBlock);
    return map;
}

std::string pax_records(const TarEntry& entry, bool sparse, std::int64_t stored) {
    std::string records;
    if (entry.name.size() > kMaxName && !sparse) records += record("path", entry.name);
    if (entry.target.size() > kMaxName) records += record("linkpath", entry.target);
    if (entry.uid > kMaxId) records += record("uid", std::to_string(entry.uid));
    if (entry.gid > kMaxId) records += record("gid", std::to_string(entry.gid));
    if (stored > kMaxNumber) records += record("size", std::to_string(stored));
    if (entry.mtime.tv_nsec != 0 || entry.mtime.tv_sec < 0 || entry.mtime.tv_sec > kMaxNumber)
        records += record("mtime", time_text(entry.mtime));
    if (sparse) {
        records += record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0");
        records += record("GNU.sparse.name", entry.name);
        records += record("GNU.sparse.realsize", std::to_string(entry.size));
    }
    for (const auto& [name, value] : entry.xattrs)
        records += record("SCHILY.xattr." + name, value);
    return records;
}

} // namespace

void TarWriter::pad(std::int64_t size) {
    static constexpr Block zeros{};
    if (const auto rest = size % kBlock) sink_(zeros.data(), static_cast<std::size_t>(kBlock - rest));
}

void TarWriter::header(const TarEntry& entry, char type, std::string_view name, std::int64_t size) {
    Block block{};
    put(block, kName, name.substr(0, kMaxName));
    put_number(block, kMode, entry.mode & 07777, kMaxId);
    put_number(block, kUid, entry.uid, kMaxId);
    put_number(block, kGid, entry.gid, kMaxId);
    put_number(block, kSize, size, kMaxNumber);
    put_number(block, kMtime, entry.mtime.tv_sec, kMaxNumber);
    block[kType] = type;
    put(block, kLink, std::string_view{entry.target}.substr(0, kMaxName));
    put(block, kMagic, {"ustar\00000", 8});
    put_number(block, kMajor, entry.major, kMaxId);
    put_number(block, kMinor, entry.minor, kMaxId);
    put(block, kSum, "        ");
    unsigned sum = 0;
    for (const char byte : block)
        sum += static_cast<unsigned char>(byte);
    put(block, kSum, fmt::format("{:06o}\0 ", sum));
    sink_(block.data(), block.size());
}

void TarWriter::entry(const TarEntry& entry) {
    if (left_ != 0) throw Error{ErrorCode::Internal, "tar: the entry before is not complete"};
    const bool sparse = entry.type == TarEntry::Type::File && !entry.extents.empty();
    std::string map;
    auto stored = entry.type == TarEntry::Type::File ? entry.size : 0;
    left_ = stored;
    if (sparse) {
        map = sparse_map(entry);
        left_ = 0;
        for (const auto& extent : entry.extents)
            left_ += extent.size;
        stored = left_ + static_cast<std::int64_t>(map.size());
    }
    padding_ = stored;
    if (const auto records = pax_records(entry, sparse, stored); !records.empty()) {
        const auto size = static_cast<std::int64_t>(records.size());
        header({.mode = 0644}, 'x', "PaxHeaders.0", size);
        sink_(records.data(), records.size());
        pad(size);
    }
    header(entry, static_cast<char>(entry.type), sparse ? "GNUSparseFile.0/file" : entry.name, stored);
    if (!map.empty()) sink_(map.data(), map.size());
    if (left_ == 0) pad(padding_);
}

void TarWriter::data(const char* bytes, std::size_t size) {
    if (static_cast<std::int64_t>(size) > left_) throw Error{ErrorCode::Internal, "tar: more data than announced"};
    sink_(bytes, size);
    left_ -= static_cast<std::int64_t>(size);
    if (left_ == 0 && size > 0) pad(padding_);
}

void TarWriter::finish() {
    static constexpr std::array<char, 2 * kBlock> end{};
    if (left_ != 0) throw Error{ErrorCode::Internal, "tar: the last entry is not complete"};
    sink_(end.data(), end.size());
}

} // namespace lxdcore
