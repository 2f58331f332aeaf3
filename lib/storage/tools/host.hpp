// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "util/dir.hpp"

namespace lxdcore::storage {

/// What mount points begin with that are there for a moment only.
constexpr std::string_view kScratchMount = ".mount-";

/// What drivers ask of the kernel without a program. Tests put a fake in its place. Reentrant; all throw Error.
class Host {
public:
    virtual ~Host();

    /// Mounts on a held directory. @p options: as mount(8) takes them ("discard,noatime"); "ro" makes it read-only.
    virtual void mount(const std::string& source, const Dir& target, const std::string& type,
                       const std::string& options);
    /// A mount that nobody else sees; it goes with the last descriptor that is opened through it. @p scratch: where a
    /// mount point can be made for a moment.
    virtual Dir mount_detached(const std::string& source, const Dir& scratch, const std::string& type,
                               const std::string& options);
    /// Takes everything away that is mounted on @p name; nothing mounted is fine. What is still looked at goes with the
    /// last who does.
    virtual void unmount(const Dir& parent, const std::string& name);
    virtual bool mounted(const Dir& parent, const std::string& name) const;
    /// Nothing is written to the filesystem until thaw().
    virtual void freeze(const Dir& mounted);
    virtual void thaw(const Dir& mounted);
    /// Extended attributes; "" where there is none.
    virtual void set_attribute(const Dir& dir, const std::string& name, const std::string& value);
    virtual std::string attribute(const Dir& dir, const std::string& name) const;
    /// Bytes used and in all of what is mounted there.
    struct Space {
        std::uint64_t used = 0, total = 0, used_inodes = 0, total_inodes = 0;
    };
    virtual Space space(const Dir& mounted) const;

    virtual bool has_kernel_module(const std::string& name) const;            ///< loaded or built in
    virtual bool offers_kernel_module(const std::string& name) const;         ///< or can be loaded
    virtual std::string kernel_module_version(const std::string& name) const; ///< of one that is loaded; "": not told

    /// Absolute paths of devices; links below /dev are followed.
    virtual bool is_block_device(const std::string& path) const;
    /// "ext4", "xfs", "btrfs" by what is on the device; "": none of them.
    virtual std::string filesystem_of(const std::string& device) const;
    virtual std::int64_t device_size(const std::string& device) const;
    /// Waits some seconds for a device that was made just now.
    virtual UniqueFd open_device(const std::string& path, int flags);
    /// What is on a device from @p from on becomes zeros: it was somebody's.
    virtual void zero_device(const std::string& device, std::int64_t from);
    /// The first @p bytes of one device, or all it has, over those at the beginning of the other, which is not smaller.
    virtual void copy_device(const std::string& from, const std::string& to, std::int64_t bytes, std::stop_token stop);
};

} // namespace lxdcore::storage
