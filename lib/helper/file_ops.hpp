// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "helper/guest_root.hpp"
#include "helper/id_table.hpp"

namespace lxdcore::helper {

class Reply;
class Watchdog;

/// One action on a file of an instance; texts through bytes_to_text:
/// {"op":"get"|"put"|"remove", "path":"/a", "running":bool, "data":bool,
///  "type":"file"|"directory"|"symlink", "uid","gid","mode" (absent: default), "append":bool, "target":"",
///  "idmap":[[kind, host, ns, count]…]}   kind: 1 uids, 2 gids, 3 both; ids on disk of a stopped instance
/// Descriptors: 5 the pidfd of init (running) or the root directory; 6 the data: get writes the bytes or the
/// NUL-terminated sorted names to it after its reply, put reads the content from it.
/// get replies {"ok":true,"type","uid","gid","mode","size","mtime":[seconds,nanoseconds],"target"}.
struct FileRequest {
    std::string op, path, type, target;
    bool running = false, data = false, append = false;
    std::optional<std::int64_t> uid, gid;
    std::optional<std::uint32_t> mode;
    IdTable idmap;

    static FileRequest parse(const nlohmann::json& request); ///< @throws Error InvalidArgument
    std::int64_t inside(int kind, std::int64_t disk) const { return idmap.inside(kind, disk); }
    /// @throws Error for an id that the map does not have
    std::uint32_t on_disk(int kind, std::int64_t id) const;
};

/// Replies first, then fills @p data (closed at the end) if the request wants it.
void get_file(const GuestRoot& root, const FileRequest& request, UniqueFd data, Reply& reply, Watchdog& dog);
void put_file(const GuestRoot& root, const FileRequest& request, UniqueFd data, Reply& reply, Watchdog& dog);
void remove_file(const GuestRoot& root, const FileRequest& request);

} // namespace lxdcore::helper
