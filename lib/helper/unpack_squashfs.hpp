// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "helper/unpack_tar.hpp"

namespace lxdcore::helper {

/// The counterpart of TarReader::read() for a squashfs, by unsquashfs: from within the cage, whose /tmp becomes its
/// own. One prefix or one member at a time. Of the limits only that of a member's bytes is kept here. @p target: as
/// there, -1 to look only.
ArchiveSummary read_squashfs(int archive, int target, const ArchiveContent& content, const UnpackLimits& limits);

} // namespace lxdcore::helper
