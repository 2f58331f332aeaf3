// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linux/filter.h>
#include <sys/resource.h>

#include <nlohmann/json_fwd.hpp>

namespace lxdcore::helper {

/// What comes over the control socket of a command.
inline constexpr char kTerminalMessage = 'p', kListenerMessage = 'l';

/// One command to run inside a guest. On the wire (texts through bytes_to_text):
/// {"command":[…],"environment":{…},"cwd":"", "user":0,"group":0,"interactive":false,"width":80,"height":24,
///  "cgroups":["/sys/fs/cgroup/…"],"seccomp":[u64…],"notify":false,"rlimits":[[resource,soft,hard]…]}
/// Descriptors: 0, 1, 2 of the command, 5 the pidfd of the guest's init, 6 a SOCK_SEQPACKET socket: each byte that the
/// daemon sends is a signal for the command; its end kills the command. An interactive command's pty master comes back
/// with the byte kTerminalMessage, with "notify" the listener of its seccomp filter with kListenerMessage.
/// Replies: {"ok":true,"pid":host pid} once it runs, then {"ok":true,"return":code}; or
/// {"ok":false,"error":…,"code":…}, with "return" 126 or 127 when the command could not be executed.
struct ExecRequest {
    struct Limit {
        int resource;
        rlimit value;
    };
    std::vector<std::string> command;
    std::vector<std::string> environment; ///< "K=V", without what the guest decides (PATH)
    bool default_path = false;            ///< PATH is not in environment
    std::string cwd;
    std::uint32_t user = 0, group = 0;
    bool interactive = false;
    int width = 0, height = 0;
    std::vector<std::string> cgroups;
    std::vector<sock_filter> seccomp;
    bool notify = false; ///< the filter asks about some calls
    std::vector<Limit> limits;

    static ExecRequest parse(const nlohmann::json& request); ///< @throws Error InvalidArgument
};

} // namespace lxdcore::helper
