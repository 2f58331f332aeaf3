// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "helper/file_ops.hpp"
#include "helper/guest_entry.hpp"
#include "helper/reply.hpp"
#include "helper/verbs.hpp"
#include "helper/watchdog.hpp"
#include "util/byte_text.hpp"

namespace lxdcore::helper {

namespace {

constexpr int kTargetFd = 5;
constexpr int kDataFd = 6;
constexpr std::chrono::seconds kPatience{30};

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
    if (const auto it = json.find("idmap"); it != json.end()) request.idmap = IdTable{*it};
    return request;
}

std::uint32_t FileRequest::on_disk(int kind, std::int64_t id) const {
    const auto found = idmap.on_disk(kind, id);
    if (!found) throw_file_error("chown", path, EINVAL);
    return *found;
}

void file_verb(const nlohmann::json& json, Reply& reply) {
    ::prctl(PR_SET_DUMPABLE, 0);
    const auto request = FileRequest::parse(json);
    for (const int fd : {kTargetFd, kDataFd})
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) throw_errno("helper: descriptors");
    Watchdog{kPatience}.guard(reply, [&](Watchdog& dog) {
        UniqueFd data{kDataFd}, target{kTargetFd};
        const GuestRoot root = open_guest(std::move(target), request.running);
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
