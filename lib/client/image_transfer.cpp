// SPDX-License-Identifier: Apache-2.0
#include "client/image_transfer.hpp"

#include <sys/mman.h>

#include "client/http.hpp"
#include "client/local_files.hpp"
#include "client/remote_operation.hpp"
#include "util/text.hpp"

namespace lxdcore::client {

namespace {

std::string query_of(const api::StringMap& map) {
    std::string out;
    for (const auto& [key, value] : map)
        out += (out.empty() ? "" : "&") + encode(key) + "=" + encode(value);
    return out;
}

HttpRequest request_of(const ImageUpload& upload) {
    HttpRequest request{"POST", Url{"/1.0/images"}.project(upload.project).str()};
    auto& headers = request.headers;
    if (!upload.filename.empty()) headers.emplace_back("X-LXD-filename", upload.filename);
    if (!upload.expected_fingerprint.empty()) headers.emplace_back("X-LXD-fingerprint", upload.expected_fingerprint);
    if (upload.is_public) headers.emplace_back("X-LXD-public", "1");
    if (!upload.properties.empty()) headers.emplace_back("X-LXD-properties", query_of(upload.properties));
    std::string profiles;
    for (const auto& name : upload.profiles)
        profiles += (profiles.empty() ? "profile=" : "&profile=") + encode(name);
    if (!profiles.empty()) headers.emplace_back("X-LXD-profiles", profiles);
    return request;
}

void send_parts(HttpUpload& out, const std::string& boundary, int metadata, int rootfs) {
    const auto part = [&](const std::string& name, int fd) {
        const auto head = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" +
                          name + "\"\r\nContent-Type: application/octet-stream\r\n\r\n";
        out.write(head.data(), head.size());
        send_file(out, fd, true);
        out.write("\r\n", 2);
    };
    part("metadata", metadata);
    part("rootfs", rootfs);
    const auto last = "--" + boundary + "--\r\n";
    out.write(last.data(), last.size());
}

HttpRequest alias_request(const ImageUpload& upload, const api::ImageAliasRef& alias, const std::string& fingerprint) {
    const nlohmann::json body = {{"name", alias.name}, {"description", alias.description}, {"target", fingerprint}};
    return {"POST", Url{"/1.0/images/aliases"}.project(upload.project).str(), {}, body.dump()};
}

// GCC 12 destroys temporaries of a co_await twice: everything has a name here.
Awaitable<void> make_aliases(std::shared_ptr<Rest> rest, ImageUpload upload, nlohmann::json object) {
    const auto fingerprint = object.at("metadata").at("fingerprint").get<std::string>();
    for (const auto& alias : upload.aliases) {
        auto request = alias_request(upload, alias, fingerprint);
        const auto reply = co_await rest->http()->exchange(std::move(request), std::chrono::milliseconds{0});
        metadata_of(reply);
    }
}

/// value of key="…" or key=… in a header.
std::string parameter(const std::string& header, const std::string& key) {
    auto at = header.find(key + "=");
    if (at == std::string::npos) return {};
    at += key.size() + 1;
    if (at < header.size() && header[at] == '"') return header.substr(at + 1, header.find('"', at + 1) - at - 1);
    return header.substr(at, header.find(';', at) - at);
}

ImageService::ExportFile file_of(std::string name, std::string_view content) {
    auto file = temporary_file();
    write_all(file.get(), content.data(), content.size());
    if (::lseek(file.get(), 0, SEEK_SET) < 0) throw_errno("seek");
    return {std::move(name), file.release(), static_cast<std::int64_t>(content.size())};
}

/// The parts of a form that is in a file.
std::vector<ImageService::ExportFile> split_form(std::string_view form, const std::string& boundary) {
    const auto line = "--" + boundary;
    std::vector<ImageService::ExportFile> files;
    for (auto at = form.find(line); at != std::string_view::npos;) {
        const auto head = at + line.size() + 2;
        const auto blank = form.find("\r\n\r\n", head);
        if (blank == std::string_view::npos) break; // the last line
        const auto next = form.find("\r\n" + line, blank);
        if (next == std::string_view::npos) throw Error{ErrorCode::Unavailable, "The server closed the connection"};
        const std::string header{form.substr(head, blank - head)};
        files.push_back(file_of(parameter(header, "filename"), form.substr(blank + 4, next - blank - 4)));
        at = next + 2;
    }
    return files;
}

} // namespace

OperationPtr send_image(Rest& rest, const ImageUpload& upload, int metadata, int rootfs) {
    auto request = request_of(upload);
    std::string boundary;
    if (rootfs >= 0) {
        boundary = text::random_hex(16);
        request.headers.emplace_back("Content-Type", "multipart/form-data; boundary=" + boundary);
    } else {
        request.headers.emplace_back("Content-Type", "application/octet-stream");
    }
    const auto out = rest.upload(std::move(request));
    if (rootfs >= 0)
        send_parts(*out, boundary, metadata, rootfs);
    else
        send_file(*out, metadata, true);
    auto operation = std::make_shared<RemoteOperation>(rest.shared_from_this(), metadata_of(out->finish()));
    if (!upload.aliases.empty())
        operation->then([rest = rest.shared_from_this(), upload](nlohmann::json object) {
            return make_aliases(rest, upload, std::move(object));
        });
    operation->watch();
    return operation;
}

std::vector<ImageService::ExportFile> receive_image(Rest& rest, const Url& url) {
    const auto download = rest.download({"GET", url.str()});
    const auto& reply = download->reply();
    if (reply.status >= 400) throw_if_error(reply.status, download->read_all());
    auto file = temporary_file();
    receive_file(*download, file.get());
    const auto size = ::lseek(file.get(), 0, SEEK_CUR);
    const auto boundary = parameter(reply.header("content-type"), "boundary");
    if (boundary.empty()) {
        if (::lseek(file.get(), 0, SEEK_SET) < 0) throw_errno("seek");
        return {{parameter(reply.header("content-disposition"), "filename"), file.release(), size}};
    }
    const auto length = static_cast<std::size_t>(size);
    void* mapped = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapped == MAP_FAILED) throw_errno("mmap");
    const auto unmap = [length](void* at) { ::munmap(at, length); };
    const std::unique_ptr<void, decltype(unmap)> held{mapped, unmap};
    return split_form({static_cast<const char*>(mapped), length}, boundary);
}

} // namespace lxdcore::client
