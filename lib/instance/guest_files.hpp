// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "instance/guest.hpp"

namespace lxdcore::instance {

/// Where the files of an instance are: in its running namespaces, or on disk.
struct FileTarget {
    const std::optional<RunningGuest>& guest;
    const Dir* root;
    const IdMap& disk_idmap;
};

/// What the helper must know of @p target: "running" and "idmap"; and the descriptor that goes with it, borrowed.
nlohmann::json target_request(const FileTarget& target);
int target_fd(const FileTarget& target);
/// The first line of a helper. @throws Error what it says, or that it says nothing
nlohmann::json first_reply(int fd);

/// Files of instances through the helper's verb file. Reentrant.
InstanceFile pull_guest_file(const HelperProgram& helper, const FileTarget& target, const std::string& path,
                             bool head_only);
void push_guest_file(const HelperProgram& helper, const FileTarget& target, const InstanceFilePush& push);
void remove_guest_file(const HelperProgram& helper, const FileTarget& target, const std::string& path);

} // namespace lxdcore::instance
