// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/dir.hpp"

/// Subvolumes and their quota groups, reached by held directories only: an instance may rename what is in its own
/// meanwhile. Reentrant. All throw Error naming the path.
namespace lxdcore::storage::btrfs {

bool is_btrfs(const Dir& dir);
bool is_subvolume(const Dir& dir);
std::uint64_t id_of(const Dir& subvolume);
std::string identity_of(const Dir& subvolume); ///< its own UUID

struct Nested {
    std::uint64_t id = 0;
    std::string path; ///< below the subvolume
    bool read_only = false;
};
/// Those below a subvolume, parents before what is in them.
std::vector<Nested> nested(const Dir& subvolume);

void create(const Dir& parent, const std::string& name, mode_t mode);
bool read_only(const Dir& subvolume);
void set_read_only(const Dir& subvolume, bool on);
/// A writable snapshot, with snapshots of what is nested in @p source where that was; those stay read-only that are.
void snapshot(const Dir& source, const Dir& parent, const std::string& name);
/// A subvolume with all in it, or whatever else has the name; absent is fine.
void remove(const Dir& parent, const std::string& name);

/// Counts what each subvolume takes, from now on; idempotent.
void enable_quotas(const Dir& pool);
struct Quota {
    std::int64_t limit = 0; ///< bytes that it may refer to; 0: none
    std::int64_t exclusive = 0;
    std::int64_t referenced = 0;
};
std::optional<Quota> quota_of(const Dir& subvolume); ///< nullopt: not counted
void set_limit(const Dir& subvolume, std::int64_t bytes);

/// The filesystem's identity, of a mounted one and of one in a file or device; "" where there is none.
std::string uuid_of(const Dir& mounted);
std::string uuid_in(int file);
/// Fills the device that it is on, if that has grown. @p bytes: the device's size
void grow(const Dir& mounted, std::int64_t bytes);

} // namespace lxdcore::storage::btrfs
