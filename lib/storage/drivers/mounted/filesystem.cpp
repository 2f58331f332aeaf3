// SPDX-License-Identifier: Apache-2.0
#include "storage/drivers/mounted/filesystem.hpp"

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::storage::filesystem {

const std::string& checked(const std::string& type) {
    if (type != "ext4" && type != "xfs" && type != "btrfs")
        throw Error{ErrorCode::InvalidArgument, fmt::format("Unsupported filesystem {}", text::quote(type))};
    return type;
}

void complete(std::map<std::string, std::string>& config, bool block) {
    if (block) return;
    config.emplace("block.filesystem", kDefault);
    config.emplace("block.mount_options", kDefaultOptions);
}

void make(Tools& tools, const std::string& device, const std::string& type) {
    std::vector<std::string> argv{"mkfs." + checked(type)};
    if (type == "ext4") argv.insert(argv.end(), {"-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"});
    argv.push_back(operand(device));
    tools.run(std::move(argv));
}

void grow(Tools& tools, const std::string& device, const std::string& type, const Dir& mounted) {
    if (type == "ext4")
        tools.run({"resize2fs", operand(device)});
    else if (type == "xfs")
        tools.run({"xfs_growfs", mounted.path()});
    else if (type == "btrfs")
        tools.run({"btrfs", "filesystem", "resize", "max", mounted.path()});
    else
        checked(type);
}

bool can_shrink(const std::string& type) { return type == "ext4" || type == "btrfs"; }
bool shrinks_mounted(const std::string& type) { return type == "btrfs"; }

void shrink(Tools& tools, const std::string& device, const std::string& type, std::int64_t bytes, const Dir* mounted) {
    if (!can_shrink(type))
        throw Error{ErrorCode::Internal,
                    fmt::format("Filesystem {} cannot be shrunk: Cannot be shrunk", text::quote(type))};
    if (type == "btrfs") {
        if (mounted == nullptr) throw Error{ErrorCode::Internal, "btrfs is shrunk while it is mounted"};
        tools.run({"btrfs", "filesystem", "resize", std::to_string(bytes), mounted->path()});
        return;
    }
    // 1: errors were found and corrected.
    const auto check = tools.ask({"e2fsck", "-f", "-y", operand(device)});
    if (check.code > 1)
        throw Error{ErrorCode::Internal,
                    fmt::format("Failed to run: e2fsck -f -y {}: exit status {}", device, check.code)};
    tools.run({"resize2fs", operand(device), fmt::format("{}K", bytes / 1024)});
}

void renew_identity(Tools& tools, const std::string& device, const std::string& type) {
    if (type == "btrfs") tools.run({"btrfstune", "-f", "-u", operand(device)});
    if (type != "xfs") return;
    // It ends well and complains where a log is left to be replayed, as in a snapshot of what was mounted.
    const auto first = tools.ask({"xfs_admin", "-U", "generate", operand(device)});
    if (first.code == 0 && first.out.find("ERROR") == std::string::npos && first.err.find("ERROR") == std::string::npos)
        return;
    tools.run({"xfs_repair", "-o", "force_geometry", "-L", device});
    tools.run({"xfs_admin", "-U", "generate", device});
}

std::string mount_options(const std::string& wanted, const std::string& type, bool read_only) {
    auto options = wanted;
    const auto add = [&](const char* option) { options += options.empty() ? option : std::string{","} + option; };
    if (read_only) add("ro");
    // The identity of a snapshot is that of its origin, and no log is to be replayed into it.
    if (read_only && type == "xfs") add("nouuid,norecovery");
    if (read_only && type == "ext4") add("noload");
    return options;
}

} // namespace lxdcore::storage::filesystem
