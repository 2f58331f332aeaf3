// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace lxdcore::helper {

class Reply;

/// A verb reads its request, does its work and answers through the Reply. A throw becomes {"ok":false,…}; returning
/// without an answer becomes {"ok":true}. The process is single-threaded and ends when the verb returns.
using Verb = void (*)(const nlohmann::json& request, Reply& reply);

void exec_verb(const nlohmann::json& request, Reply& reply);
void file_verb(const nlohmann::json& request, Reply& reply);
/// Attaches a detached mount (descriptor 5) inside a running guest, whose init's pidfd is descriptor 6.
void mount_verb(const nlohmann::json& request, Reply& reply);
/// Detaches what is mounted on a path inside a running guest, whose init's pidfd is descriptor 5.
void unmount_verb(const nlohmann::json& request, Reply& reply);
void unpack_verb(const nlohmann::json& request, Reply& reply);
/// Carries out a system call for a process of a guest, whose pidfd is descriptor 5.
void intercept_verb(const nlohmann::json& request, Reply& reply);
/// Serves SFTP on descriptor 6 until its other end is closed: {"running":bool, "idmap":…} and descriptor 5 as for file.
/// Replies once, when the files of the instance are open.
void sftp_verb(const nlohmann::json& request, Reply& reply);
/// Becomes `btrfs receive` of the stream that is descriptor 0 into an empty directory (6) of a pool (5), and can change
/// nothing outside of it. Answers only if that cannot be done.
void receive_verb(const nlohmann::json& request, Reply& reply);
void start_verb(const nlohmann::json& request, Reply& reply);

} // namespace lxdcore::helper
