// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <cstdlib>
#include <ctime>

#include <fmt/chrono.h>

#include "http/exchange.hpp"
#include "http/spool.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::uint64_t kMaxLinkTarget = 4096;

std::string path_of(const Request& request) {
    const auto path = request.query("path");
    if (path.empty()) throw Error{ErrorCode::InvalidArgument, "Missing path argument"};
    if (path.find('\0') != std::string::npos) throw Error{ErrorCode::InvalidArgument, "Invalid path argument"};
    return path;
}

std::string base_name(const std::string& path) {
    const auto end = path.find_last_not_of('/');
    if (end == std::string::npos) return "/";
    const auto start = path.find_last_of('/', end);
    return path.substr(start == std::string::npos ? 0 : start + 1,
                       end - (start == std::string::npos ? 0 : start + 1) + 1);
}

Response with_headers(Response response, const InstanceFile& file) {
    response.set("X-LXD-uid", std::to_string(file.uid));
    response.set("X-LXD-gid", std::to_string(file.gid));
    response.set("X-LXD-mode", fmt::format("{:04o}", file.mode));
    response.set("X-LXD-modified",
                 fmt::format("{:%Y-%m-%d %H:%M:%S} +0000 UTC", fmt::gmtime(file.modified.unix_seconds())));
    response.set("X-LXD-type", file.type);
    return response;
}

/// A path that does not exist is LXD's bare 404.
InstanceFile pull(const Request& request, App& app, bool head_only) {
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref);
    const auto path = path_of(request);
    try {
        return app.core.instances.pull_file(ref, path, head_only);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::NotFound) throw HttpError{404, "Not Found"};
        throw;
    }
}

Response get(const Request& request, App& app) {
    const auto file = pull(request, app, false);
    if (file.type == "directory") return with_headers(Response::sync(file.entries), file);
    Response response;
    if (file.type == "symlink") {
        response = Response::plain(200, file.target, "application/octet-stream");
    } else {
        // a file may grow or shrink while it is read: what was there at the open is promised
        struct stat info {};
        const bool regular = file.fd && ::fstat(*file.fd, &info) == 0 && S_ISREG(info.st_mode);
        response = Response::file({file.fd, regular ? info.st_size : -1}, "application/octet-stream");
    }
    response.set("Content-Disposition", "inline;filename=" + base_name(path_of(request)));
    return with_headers(std::move(response), file);
}

Response head(const Request& request, App& app) {
    const auto file = pull(request, app, true);
    Response response;
    response.set("Content-Type", "application/json");
    return with_headers(std::move(response), file);
}

/// Go's ParseInt with base 0: "0644" is octal. What is no number counts as absent, as in LXD.
std::optional<std::int64_t> number_of(std::string_view text) {
    const std::string copy{text};
    char* end = nullptr;
    errno = 0;
    const long long value = std::strtoll(copy.c_str(), &end, 0);
    if (copy.empty() || *end != '\0' || errno != 0 || value < 0) return std::nullopt;
    return value;
}

InstanceFilePush push_of(const Request& request) {
    InstanceFilePush push;
    push.path = path_of(request);
    push.uid = number_of(request.header("X-LXD-uid"));
    push.gid = number_of(request.header("X-LXD-gid"));
    if (const auto mode = number_of(request.header("X-LXD-mode")))
        push.mode = static_cast<std::uint32_t>(*mode) & 07777;
    if (const std::string type{request.header("X-LXD-type")}; !type.empty()) push.type = type;
    if (push.type != "file" && push.type != "directory" && push.type != "symlink")
        throw Error{ErrorCode::InvalidArgument, "Bad file type: " + push.type};
    const std::string write{request.header("X-LXD-write")};
    if (!write.empty() && write != "overwrite" && write != "append")
        throw Error{ErrorCode::InvalidArgument, "Bad file write mode: " + write};
    push.append = write == "append";
    return push;
}

Awaitable<Response> post(Exchange& exchange) {
    App& app = exchange.app;
    std::optional<InstanceFilePush> push;
    InstanceRef ref;
    auto check = [&] {
        ref = instance_ref(exchange.request, app);
        app.core.instances.get(ref);
        push = push_of(exchange.request);
    };
    co_await exchange.blocking(check);
    std::shared_ptr<int> content;
    if (push->type == "symlink") {
        push->symlink_target = co_await exchange.body.read_all(kMaxLinkTarget);
    } else if (push->type == "file") {
        content = co_await spool_body(exchange, app.state_dir);
        push->content_fd = *content;
    }
    auto store = [&] {
        try {
            app.core.instances.push_file(ref, *push);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::NotFound) throw HttpError{404, "Not Found"};
            throw;
        }
        return Response::empty();
    };
    co_return co_await exchange.blocking(store);
}

Response remove(const Request& request, App& app) {
    const auto ref = instance_ref(request, app);
    app.core.instances.get(ref);
    const auto path = path_of(request);
    try {
        app.core.instances.remove_file(ref, path);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::NotFound) throw HttpError{404, "Not Found"};
        throw;
    }
    return Response::empty();
}

} // namespace

void add_instance_file_routes(Router& router) {
    add_instance_route(router, Method::Get, "/{name}/files", Permission::Project, get);
    add_instance_route(router, Method::Head, "/{name}/files", Permission::Project, head);
    add_instance_route(router, Method::Post, "/{name}/files", Permission::Project, post);
    add_instance_route(router, Method::Delete, "/{name}/files", Permission::Project, remove);
}

} // namespace lxdcore::daemon
