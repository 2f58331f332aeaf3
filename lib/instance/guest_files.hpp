// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "instance/guest.hpp"

namespace lxdcore::instance {

/// Where the files of an instance are: in its running namespaces, or on disk.
struct FileTarget {
    const std::optional<RunningGuest>& guest;
    const Dir* root;
    const IdMap& disk_idmap;
};

/// Files of instances through the helper's verb file. Reentrant.
InstanceFile pull_guest_file(const HelperProgram& helper, const FileTarget& target, const std::string& path,
                             bool head_only);
void push_guest_file(const HelperProgram& helper, const FileTarget& target, const InstanceFilePush& push);
void remove_guest_file(const HelperProgram& helper, const FileTarget& target, const std::string& path);

} // namespace lxdcore::instance
