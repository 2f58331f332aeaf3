// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "helper/file_ops.hpp"
#include "helper/guest_process.hpp"
#include "helper/reply.hpp"
#include "helper/verbs.hpp"
#include "helper/watchdog.hpp"
#include "util/byte_text.hpp"

namespace lxdcore::helper {

namespace {

constexpr int kTargetFd = 5;
constexpr int kDataFd = 6;
constexpr std::chrono::seconds kPatience{30};

/// Into the guest's users and mounts, as its root. The pid namespace is left: nobody in there can see this process.
UniqueFd enter(int pidfd) {
    const GuestProcess guest{pidfd};
    const int flags = guest.foreign_namespaces(CLONE_NEWUSER | CLONE_NEWNS);
    if ((flags & CLONE_NEWNS) == 0) throw Error{ErrorCode::BadState, "Instance has no mount namespace of its own"};
    if (::setns(pidfd, flags) != 0) throw_errno("enter instance");
    ::prctl(PR_SET_DUMPABLE, 0);
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        throw_errno("become root of the instance");
    ::prctl(PR_SET_DUMPABLE, 0);
    UniqueFd root{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!root) throw_errno("open root of the instance");
    return root;
}

std::string path_text(const nlohmann::json& request, const char* key) {
    auto bytes = bytes_from_text(need_text(request, key));
    if (bytes.find('\0') != std::string::npos) throw Error{ErrorCode::InvalidArgument, "NUL in a path"};
    return bytes;
}

} // namespace

FileRequest FileRequest::parse(const nlohmann::json& json) {
    FileRequest request;
    request.op = need_text(json, "op");
    request.path = path_text(json, "path");
    request.running = json.value("running", false);
    request.data = json.value("data", false);
    request.append = json.value("append", false);
    request.type = json.value("type", "file");
    if (json.contains("target")) request.target = path_text(json, "target");
    if (json.contains("uid")) request.uid = need_int(json, "uid");
    if (json.contains("gid")) request.gid = need_int(json, "gid");
    if (json.contains("mode")) request.mode = static_cast<std::uint32_t>(need_int(json, "mode"));
    if (const auto it = json.find("idmap"); it != json.end())
        for (const auto& row : *it)
            request.idmap.push_back({row.at(0).get<int>(), row.at(1).get<std::int64_t>(), row.at(2).get<std::int64_t>(),
                                     row.at(3).get<std::int64_t>()});
    return request;
}

std::int64_t FileRequest::inside(int kind, std::int64_t disk) const {
    for (const auto& row : idmap)
        if ((row.kind & kind) != 0 && disk >= row.host && disk - row.host < row.count) return row.ns + disk - row.host;
    return idmap.empty() ? disk : 65534;
}

std::int64_t FileRequest::on_disk(int kind, std::int64_t id) const {
    for (const auto& row : idmap)
        if ((row.kind & kind) != 0 && id >= row.ns && id - row.ns < row.count) return row.host + id - row.ns;
    if (!idmap.empty() || id < 0 || id >= UINT32_MAX) throw_file_error("chown", path, EINVAL);
    return id;
}

void file_verb(const nlohmann::json& json, Reply& reply) {
    ::prctl(PR_SET_DUMPABLE, 0);
    const auto request = FileRequest::parse(json);
    for (const int fd : {kTargetFd, kDataFd})
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) throw_errno("helper: descriptors");
    Watchdog{kPatience}.guard(reply, [&](Watchdog& dog) {
        UniqueFd data{kDataFd}, target{kTargetFd};
        UniqueFd proc_fds{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        if (!proc_fds) throw_errno("/proc/self/fd");
        const GuestRoot root{request.running ? enter(target.get()) : std::move(target), std::move(proc_fds)};
        if (request.op == "get")
            get_file(root, request, std::move(data), reply, dog);
        else if (request.op == "put")
            put_file(root, request, std::move(data), reply, dog);
        else if (request.op == "remove")
            remove_file(root, request);
        else
            throw Error{ErrorCode::InvalidArgument, "helper: unknown file action"};
    });
}

} // namespace lxdcore::helper
