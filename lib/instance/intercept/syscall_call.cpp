// SPDX-License-Identifier: Apache-2.0
#include "instance/intercept/syscall_call.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "instance/intercept/bpf_call.hpp"
#include "instance/intercept/caller_memory.hpp"
#include "instance/lxc/seccomp_filter.hpp"
#include "util/byte_text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr std::size_t kMaxOptions = 4096; ///< a page, as the kernel copies of mount's data

/// LXD's list: devices that every container has anyway.
bool harmless(dev_t device) {
    static constexpr std::array<std::pair<unsigned, unsigned>, 7> kDevices{
        {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}}};
    const std::pair wanted{major(device), minor(device)};
    return std::find(kDevices.begin(), kDevices.end(), wanted) != kDevices.end();
}

using Request = std::optional<nlohmann::json>;

Request mknod_request(const CallerMemory& caller, const __u64* args, int directory) {
    const auto mode = static_cast<mode_t>(args[1]);
    const auto device = static_cast<dev_t>(static_cast<std::uint32_t>(args[2]));
    const auto path = caller.text(args[0]);
    if (!S_ISCHR(mode) || !harmless(device) || !path) return std::nullopt;
    return nlohmann::json{{"call", "mknod"},      {"directory", directory}, {"path", bytes_to_text(*path)},
                          {"mode", mode & 07777}, {"major", major(device)}, {"minor", minor(device)}};
}

Request setxattr_request(const CallerMemory& caller, const __u64* args) {
    const auto path = caller.text(args[0]), name = caller.text(args[1], 256);
    const auto value = args[3] == 1 ? caller.object<char>(args[2]) : std::nullopt;
    // What overlay filesystems need to hide a directory of a lower layer; nothing else of trusted.* is meant for
    // guests.
    if (!path || !value || name != "trusted.overlay.opaque") return std::nullopt;
    return nlohmann::json{{"call", "setxattr"},
                          {"path", bytes_to_text(*path)},
                          {"name", *name},
                          {"value", bytes_to_text(std::string(1, *value))},
                          {"flags", static_cast<int>(args[4])}};
}

Request mount_request(const CallerMemory& caller, const Interception& rules, const __u64* args) {
    const auto source = caller.text(args[0]), target = caller.text(args[1]), type = caller.text(args[2], 256);
    if (!source || !target || !type || !rules.filesystems.contains(*type)) return std::nullopt;
    const auto options = args[4] == 0 ? std::optional<std::string>{""} : caller.text(args[4], kMaxOptions);
    if (!options) return std::nullopt;
    return nlohmann::json{{"call", "mount"},
                          {"source", bytes_to_text(*source)},
                          {"target", bytes_to_text(*target)},
                          {"type", bytes_to_text(*type)},
                          {"flags", args[3]},
                          {"options", bytes_to_text(*options)},
                          {"shift", rules.shift}};
}

Request scheduler_request(const CallerMemory& caller, const __u64* args) {
    const auto priority = caller.object<std::int32_t>(args[2]);
    if (!priority) return std::nullopt;
    return nlohmann::json{{"call", "sched_setscheduler"},
                          {"target", static_cast<std::int32_t>(args[0])},
                          {"policy", static_cast<std::int32_t>(args[1])},
                          {"priority", *priority}};
}

/// The program that mounts this type in the guest, with its arguments; empty when none is set for it.
std::vector<std::string> fuse_command(const CallerMemory& caller, const Interception& rules, const __u64* args) {
    const auto source = caller.text(args[0]), target = caller.text(args[1]), type = caller.text(args[2], 256);
    const auto options = args[4] == 0 ? std::optional<std::string>{""} : caller.text(args[4], kMaxOptions);
    if (!source || !target || !type || !options || !caller.has(CAP_SYS_ADMIN)) return {};
    const auto program = rules.fuse.find(*type);
    // The program starts in another directory, and a word that begins with "-" would be an option of it.
    if (program == rules.fuse.end() || !target->starts_with('/') || !source->starts_with('/')) return {};
    std::vector<std::string> command{program->second, *source, *target};
    auto all = *options;
    if ((args[3] & MS_RDONLY) != 0) all += all.empty() ? "ro" : ",ro";
    if (!all.empty()) command.insert(command.end(), {"-o", all});
    return command;
}

SyscallAnswer run_fuse(const SyscallContext& context, const std::vector<std::string>& command) {
    return {.proceed = false, .value = 0, .error = context.run(command) == 0 ? 0 : EPERM};
}

Request request_for(const CallerMemory& caller, const Interception& rules, const std::string& name,
                    const seccomp_data& data) {
    if (name == "mknod" && rules.mknod) return mknod_request(caller, data.args, AT_FDCWD);
    if (name == "mknodat" && rules.mknod)
        return mknod_request(caller, data.args + 1, static_cast<std::int32_t>(data.args[0]));
    if (name == "setxattr" && rules.setxattr) return setxattr_request(caller, data.args);
    if (name == "mount" && rules.mount) return mount_request(caller, rules, data.args);
    if (name == "sched_setscheduler" && rules.sched_setscheduler) return scheduler_request(caller, data.args);
    return std::nullopt;
}

} // namespace

SyscallAnswer carry_out(const SyscallContext& context, const seccomp_notif& call, int listener) {
    const CallerMemory caller{call, listener};
    if (!caller.waits() || !caller.in_users_of(context.init_pid)) return {};
    const auto name = syscall_name(call.data.arch, call.data.nr);
    if (name == "bpf" && context.guest.rules.bpf) return carry_out_bpf(context, caller, call, listener);
    if (name == "mount" && context.guest.rules.mount)
        if (const auto command = fuse_command(caller, context.guest.rules, call.data.args); !command.empty())
            return caller.waits() ? run_fuse(context, command) : SyscallAnswer{};
    auto request = request_for(caller, context.guest.rules, name, call.data);
    if (!request || !caller.waits()) return {};
    const auto keep_on = [&] {
        if (context.stopping) throw Error{ErrorCode::Unavailable, "the daemon ends"};
    };
    const auto reply = context.helper.call("intercept", *request, {{caller.pidfd(), 5}}, kTimeout, keep_on);
    return {.proceed = reply.value("proceed", false),
            .value = reply.value("value", std::int64_t{0}),
            .error = reply.value("errno", 0)};
}

seccomp_notif_resp response_to(const seccomp_notif& call, const SyscallAnswer& answer) {
    seccomp_notif_resp out{};
    out.id = call.id;
    if (answer.proceed) {
        out.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else {
        out.val = answer.error == 0 ? answer.value : 0;
        out.error = -answer.error;
    }
    return out;
}

} // namespace lxdcore::instance
