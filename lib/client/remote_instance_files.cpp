// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include <fmt/format.h>

#include "client/local_files.hpp"
#include "client/remote_instances.hpp"

namespace lxdcore::client {

namespace {

Url at(const InstanceRef& ref, const std::string& path) {
    return Url{(Url{"/1.0/instances"} / ref.name).str() + "/files"}.query("path", path).project(ref.project);
}

std::int64_t number(const std::string& text, int base) { return std::strtoll(text.c_str(), nullptr, base); }

/// "2026-01-31 12:00:00.5 +0000 UTC"; what is no such time is none.
api::Time time_of(const std::string& text) {
    const auto date = text.find(' ');
    const auto end = text.find(' ', date + 1);
    if (date == std::string::npos || end == std::string::npos) return {};
    auto zone = text.substr(end + 1, 5);
    if (zone.size() == 5) zone.insert(3, ":");
    try {
        return api::Time::parse(text.substr(0, date) + "T" + text.substr(date + 1, end - date - 1) + zone);
    } catch (const Error&) {
        return {};
    }
}

InstanceFile described_by(const HttpReply& reply) {
    InstanceFile file;
    file.uid = number(reply.header("x-lxd-uid"), 10);
    file.gid = number(reply.header("x-lxd-gid"), 10);
    file.mode = static_cast<std::uint32_t>(number(reply.header("x-lxd-mode"), 8));
    file.type = reply.header("x-lxd-type");
    file.modified = time_of(reply.header("x-lxd-modified"));
    if (file.type == "file") file.size = number(reply.header("content-length"), 10);
    return file;
}

/// "Not Found" alone helps nobody.
void name_the_file(Error& error, const std::string& path) {
    if (error.code() == ErrorCode::NotFound && std::string_view{error.what()} == "Not Found") error.add_context(path);
}

} // namespace

InstanceFile RemoteInstances::pull_file(const InstanceRef& ref, const std::string& path, bool head_only) const {
    const auto url = at(ref, path).str();
    try {
        if (head_only) {
            const auto reply = rest_->request({"HEAD", url});
            throw_if_error(reply.status, reply.status == 404 ? R"({"error":"Not Found"})" : "");
            return described_by(reply);
        }
        const auto download = rest_->download({"GET", url});
        const auto& reply = download->reply();
        if (reply.status >= 400) throw_if_error(reply.status, download->read_all());
        auto file = described_by(reply);
        if (file.type == "directory") {
            auto whole = reply;
            whole.body = download->read_all();
            file.entries = metadata_of(whole).get<std::vector<std::string>>();
        } else if (file.type == "symlink") {
            file.target = download->read_all();
        } else {
            auto local = temporary_file();
            receive_file(*download, local.get());
            file.size = ::lseek(local.get(), 0, SEEK_CUR);
            if (::lseek(local.get(), 0, SEEK_SET) < 0) throw_errno("seek");
            file.fd = std::shared_ptr<int>{new int{local.release()}, [](int* fd) {
                                               ::close(*fd);
                                               delete fd;
                                           }};
        }
        return file;
    } catch (Error& error) {
        name_the_file(error, path);
        throw;
    }
}

void RemoteInstances::push_file(const InstanceRef& ref, const InstanceFilePush& push) {
    HttpRequest request{"POST", at(ref, push.path).str()};
    auto& headers = request.headers;
    headers.emplace_back("Content-Type", "application/octet-stream");
    headers.emplace_back("X-LXD-type", push.type);
    if (push.uid) headers.emplace_back("X-LXD-uid", std::to_string(*push.uid));
    if (push.gid) headers.emplace_back("X-LXD-gid", std::to_string(*push.gid));
    if (push.mode) headers.emplace_back("X-LXD-mode", fmt::format("{:04o}", *push.mode));
    if (push.append) headers.emplace_back("X-LXD-write", "append");
    if (push.type == "symlink") request.body = push.symlink_target;
    try {
        if (push.type != "file" || push.content_fd < 0) {
            metadata_of(rest_->request(std::move(request)));
            return;
        }
        const auto upload = rest_->upload(std::move(request));
        send_file(*upload, push.content_fd, false);
        metadata_of(upload->finish());
    } catch (Error& error) {
        name_the_file(error, push.path);
        throw;
    }
}

void RemoteInstances::remove_file(const InstanceRef& ref, const std::string& path) {
    try {
        rest_->call("DELETE", at(ref, path));
    } catch (Error& error) {
        name_the_file(error, path);
        throw;
    }
}

} // namespace lxdcore::client
