// SPDX-License-Identifier: Apache-2.0
#include "instance/guest_files.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "util/byte_text.hpp"

namespace lxdcore::instance {

namespace {

using Json = nlohmann::json;

/// The helper gives up after 30 s without progress; this is for a helper that cannot even do that.
constexpr std::chrono::seconds kReplyTime{60};
constexpr std::chrono::hours kPushTime{24}; ///< the client's speed; the helper watches the guest's side
constexpr std::size_t kMaxReply = 64u << 10, kMaxNames = 65u << 20;

constexpr int kPipeSize = 1 << 20; ///< of a file's content: it changes hands less often

/// Paths of a guest are absolute; what a client leaves out is added.
std::string absolute(const std::string& path) { return path.starts_with('/') ? path : "/" + path; }

Json file_request(const FileTarget& target, const char* op, const std::string& path) {
    auto request = target_request(target);
    request["op"] = op;
    request["path"] = bytes_to_text(absolute(path));
    return request;
}

/// One read with a deadline; empty at the end.
std::string read_some(int fd, std::chrono::milliseconds patience) {
    pollfd wait{fd, POLLIN, 0};
    for (;;) {
        const int ready = ::poll(&wait, 1, static_cast<int>(patience.count()));
        if (ready == 0) throw Error{ErrorCode::Internal, "Timed out waiting for a file system of the instance"};
        std::string block(16384, '\0');
        const ssize_t n = ready < 0 ? -1 : ::read(fd, block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read from helper");
        block.resize(static_cast<std::size_t>(n));
        return block;
    }
}

ErrorCode code_of(const std::string& name) {
    if (name == "NotFound") return ErrorCode::NotFound;
    if (name == "Forbidden") return ErrorCode::Forbidden;
    if (name == "BadState") return ErrorCode::BadState;
    if (name == "InvalidArgument") return ErrorCode::InvalidArgument;
    if (name == "TooLarge") return ErrorCode::TooLarge;
    return name == "NoSpace" ? ErrorCode::NoSpace : ErrorCode::Internal;
}

std::vector<std::string> read_names(int fd) {
    std::string text;
    for (;;) {
        const auto block = read_some(fd, kReplyTime);
        if (block.empty()) break;
        text += block;
        if (text.size() > kMaxNames) throw Error{ErrorCode::TooLarge, "Directory has too many entries"};
    }
    std::vector<std::string> names;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\0', at);
        if (end == std::string::npos) throw Error{ErrorCode::Internal, "Helper ended within a list"};
        names.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return names;
}

/// The reading end of the content, and the helper that fills it: both end with the last owner.
std::shared_ptr<int> content_fd(UniqueFd reading, HelperProgram::Running running) {
    struct Owner {
        int number;
        UniqueFd fd;
        HelperProgram::Running running;
        ~Owner() {
            running.process.kill(SIGKILL);
            running.process.wait_for(std::chrono::seconds{1});
        }
    };
    const int number = reading.get();
    const auto owner = std::make_shared<Owner>(number, std::move(reading), std::move(running));
    return {owner, &owner->number};
}

} // namespace

Json target_request(const FileTarget& target) {
    Json request{{"running", target.guest.has_value()}};
    if (target.guest) return request;
    auto rows = Json::array();
    for (const auto& range : target.disk_idmap.ranges)
        rows.push_back({(range.uid ? 1 : 0) | (range.gid ? 2 : 0), range.host, range.ns, range.count});
    request["idmap"] = std::move(rows);
    return request;
}

int target_fd(const FileTarget& target) {
    if (target.guest) return target.guest->init_pidfd->get();
    if (target.root == nullptr) throw Error{ErrorCode::Internal, "No root directory of the instance"};
    return target.root->fd();
}

Json first_reply(int fd) {
    std::string text;
    while (text.find('\n') == std::string::npos && text.size() < kMaxReply) {
        const auto block = read_some(fd, kReplyTime);
        if (block.empty()) break;
        text += block;
    }
    const auto reply = Json::parse(text.substr(0, text.find('\n')), nullptr, false);
    if (!reply.is_object()) throw Error{ErrorCode::Internal, "Helper ended without a reply"};
    if (reply.value("ok", false)) return reply;
    throw Error{code_of(reply.value("code", "")), reply.value("error", "Failed to access the file")};
}

InstanceFile pull_guest_file(const HelperProgram& helper, const FileTarget& target, const std::string& path,
                             bool head_only) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe");
    UniqueFd reading{fds[0]}, writing{fds[1]};
    ::fcntl(fds[0], F_SETPIPE_SZ, kPipeSize); // refused, it stays what it is
    auto request = file_request(target, "get", path);
    request["data"] = !head_only;
    auto running = helper.start("file", request, {{target_fd(target), 5}, {writing.get(), 6}});
    writing.reset();
    const auto reply = first_reply(running.reply.get());
    InstanceFile file;
    file.type = reply.value("type", "file");
    file.uid = reply.value("uid", std::int64_t{0});
    file.gid = reply.value("gid", std::int64_t{0});
    file.mode = reply.value("mode", 0u) & 0777;
    file.size = reply.value("size", std::int64_t{0});
    const auto& mtime = reply.at("mtime");
    file.modified.at = api::Time::Point{std::chrono::seconds{mtime.at(0).get<std::int64_t>()} +
                                        std::chrono::nanoseconds{mtime.at(1).get<std::int64_t>()}};
    if (file.type == "symlink") {
        file.target = bytes_from_text(reply.value("target", ""));
        file.size = static_cast<std::int64_t>(file.target.size());
    } else if (head_only) {
        return file;
    } else if (file.type == "directory") {
        file.entries = read_names(reading.get());
    } else {
        file.fd = content_fd(std::move(reading), std::move(running));
    }
    return file;
}

void push_guest_file(const HelperProgram& helper, const FileTarget& target, const InstanceFilePush& push) {
    auto request = file_request(target, "put", push.path);
    request["type"] = push.type;
    request["append"] = push.append;
    request["target"] = bytes_to_text(push.symlink_target);
    if (push.uid) request["uid"] = *push.uid;
    if (push.gid) request["gid"] = *push.gid;
    if (push.mode) request["mode"] = *push.mode;
    // Without content: a pipe that has ended.
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe");
    const UniqueFd empty{fds[0]};
    ::close(fds[1]);
    const int content = push.content_fd >= 0 ? push.content_fd : empty.get();
    helper.call("file", request, {{target_fd(target), 5}, {content, 6}}, kPushTime);
}

void remove_guest_file(const HelperProgram& helper, const FileTarget& target, const std::string& path) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe");
    const UniqueFd reading{fds[0]}, writing{fds[1]};
    helper.call("file", file_request(target, "remove", path), {{target_fd(target), 5}, {reading.get(), 6}}, kReplyTime);
}

} // namespace lxdcore::instance
