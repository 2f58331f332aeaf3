// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "system/idmap.hpp"

namespace lxdcore {

/// @p base with the lines of raw.idmap ("both 1000 1000", "uid 50-60 500-510": host, then inside) in the place of what
/// it had for these ids. No host id is ever given twice, and none of @p server's is handed out by hand.
/// @throws Error InvalidArgument with LXD's texts
IdMap with_raw_idmap(const IdMap& base, const IdMap& server, std::string_view raw);

/// @p map with the values of lxc.idmap ("u 1000 1000 1": inside, then host) added. @throws Error InvalidArgument
IdMap with_lxc_idmap(IdMap map, const IdMap& server, std::string_view value);

/// Whether root (or "lxd") may use all host ids of @p map by the text of /etc/subuid and /etc/subgid, as newuidmap
/// would check it; host id 0 never. @throws Error BadState naming the id
void check_delegated(const IdMap& map, std::string_view subuid, std::string_view subgid);

/// @p map as it goes to the kernel: uids and gids apart, without repetitions.
std::vector<IdRange> kernel_ranges(const IdMap& map);

} // namespace lxdcore
