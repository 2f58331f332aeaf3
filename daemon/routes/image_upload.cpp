// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <lxdcore/service/instance_publish_service.hpp>

#include "http/exchange.hpp"
#include "http/multipart.hpp"
#include "routes/common.hpp"
#include "routes/routes.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::size_t kPiece = 256 * 1024;
/// LXD's number of "Downloading image", under which it also runs uploads.
constexpr int kImageDownload = 26;

ImageUpload upload_of(const Request& request) {
    ImageUpload upload;
    upload.project = request.project();
    upload.filename = request.header("X-LXD-filename");
    upload.expected_fingerprint = request.header("X-LXD-fingerprint");
    const auto flag = lower(request.header("X-LXD-public"));
    upload.is_public = flag == "1" || flag == "true" || flag == "yes" || flag == "on";
    for (auto& [key, value] : parse_query(request.header("X-LXD-properties")))
        upload.properties[key] = value;
    for (auto& [key, value] : parse_query(request.header("X-LXD-profiles")))
        if (key == "profile") upload.profiles.push_back(value);
    return upload;
}

/// Bytes of an upload on their way into the image store, by the pieces in which they come. Blocking.
class Uploader {
public:
    Uploader(ImageService& images, const std::string& boundary) : sink_{images.upload()} {
        if (boundary.empty()) return;
        parser_.emplace(
            boundary, [this](const MultipartParser::Part& part) { begin(part); },
            [this](const char* data, std::size_t size) { put(data, size); });
    }
    void write(const char* data, std::size_t size) {
        if (parser_)
            parser_->feed(data, size);
        else
            sink_->write_metadata(data, size);
    }
    OperationPtr finish(ImageUpload upload) {
        if (parser_) parser_->finish();
        if (parser_ && parts_ != 2) throw invalid();
        if (upload.filename.empty()) upload.filename = filename_;
        return sink_->finish(upload);
    }

private:
    static Error invalid() { return {ErrorCode::InvalidArgument, "Invalid multipart image"}; }
    void begin(const MultipartParser::Part& part) {
        ++parts_;
        const bool good = parts_ == 1 ? part.name == "metadata" : parts_ == 2 && part.name == "rootfs";
        if (!good) throw invalid();
        filename_ = part.filename;
    }
    void put(const char* data, std::size_t size) {
        if (parts_ == 1)
            sink_->write_metadata(data, size);
        else
            sink_->write_rootfs(data, size);
    }
    std::unique_ptr<ImageSink> sink_;
    std::optional<MultipartParser> parser_;
    std::string filename_;
    int parts_ = 0;
};

/// A refused upload is an operation that fails, as with LXD.
OperationPtr failed(App& app, const std::string& project, const Error& error) {
    OperationOptions options;
    options.type = kImageDownload;
    options.project = project;
    return app.core.operations.start(std::move(options), [error](OperationContext&) { throw error; });
}

/// "c1" as an instance, "c1/snap0" as a snapshot.
Response publish(const nlohmann::json& body, const std::string& type, const Request& request, App& app) {
    const auto put = body.get<api::ImagePut>();
    const auto text = [](const nlohmann::json& object, const char* key) {
        return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string{};
    };
    const auto name = text(body["source"], "name");
    const auto slash = name.find('/');
    const bool snapshot = slash != std::string::npos;
    std::string refused;
    if (name.empty())
        refused = "No source provided";
    else if (type == "snapshot" && !snapshot)
        refused = "Not a snapshot";
    else if (type != "snapshot" && snapshot)
        refused = "This is a snapshot";
    if (!refused.empty())
        return Response::operation(failed(app, request.project(), {ErrorCode::InvalidArgument, refused}));
    PublishRequest wanted{.project = request.project(),
                          .instance = name.substr(0, slash),
                          .snapshot = snapshot ? name.substr(slash + 1) : "",
                          .compression = text(body, "compression_algorithm"),
                          .filename = text(body, "filename"),
                          .is_public = put.is_public,
                          .properties = put.properties,
                          .profiles = put.profiles,
                          .aliases = {},
                          .expires_at = put.expires_at};
    if (wanted.compression.empty()) wanted.compression = app.core.server.get("images.compression_algorithm");
    if (body.contains("aliases") && body["aliases"].is_array())
        for (const auto& alias : body["aliases"])
            if (alias.is_object())
                wanted.aliases.push_back({.name = text(alias, "name"), .description = text(alias, "description")});
    return Response::operation(app.core.publishing.publish(wanted));
}

/// What is uploaded can become an image here, and what is an instance; the other sources of LXD are known but not
/// offered.
Response post_json(const Request& request, App& app) {
    const auto body = request.json();
    const auto source = body.is_object() && body.contains("source") ? body["source"] : nlohmann::json{};
    const std::string type = source.is_object() && source.contains("type") && source["type"].is_string()
                                 ? source["type"].get<std::string>()
                                 : "";
    for (const auto* local : {"instance", "container", "virtual-machine", "snapshot"})
        if (type == local) return publish(body, type, request, app);
    for (const auto* known : {"image", "url"})
        if (type == known) throw Error{ErrorCode::Unsupported, "Image source \"" + type + "\" is not supported"};
    throw HttpError{500, "Invalid images JSON"};
}

bool looks_like_json(const Request& request, std::string_view first) {
    const auto type = request.header("Content-Type");
    if (type.starts_with("application/json")) return true;
    if (type.starts_with("application/octet-stream") || type.starts_with("multipart/")) return false;
    const auto start = first.find_first_not_of(" \t\r\n");
    return start != std::string_view::npos && first[start] == '{';
}

Awaitable<Response> post(Exchange& exchange) {
    Request& request = exchange.request;
    const auto piece = std::make_unique<char[]>(kPiece);
    std::size_t filled = co_await exchange.body.read(asio::buffer(piece.get(), kPiece));
    if (looks_like_json(request, {piece.get(), filled})) {
        request.body.assign(piece.get(), filled);
        request.body += co_await exchange.body.read_all(exchange.limits.json_bytes);
        auto decode_json = [&] { return post_json(request, exchange.app); };
        co_return co_await exchange.blocking(decode_json);
    }
    std::optional<Uploader> uploader;
    std::optional<Error> refused;
    auto store = [&] {
        try {
            if (!uploader)
                uploader.emplace(exchange.app.core.images,
                                 MultipartParser::boundary_of(request.header("Content-Type")));
            uploader->write(piece.get(), filled);
        } catch (const Error& error) {
            refused = error;
        }
        filled = 0;
    };
    while (!refused) {
        const auto size = co_await exchange.body.read(asio::buffer(piece.get() + filled, kPiece - filled));
        filled += size;
        if (size > 0 && filled < kPiece) continue;
        co_await exchange.blocking(store);
        if (size == 0) break;
    }
    auto finish = [&] {
        try {
            if (!refused) return Response::operation(uploader->finish(upload_of(request)));
        } catch (const Error& error) {
            refused = error;
        }
        uploader.reset(); // removes what has been written
        return Response::operation(failed(exchange.app, request.project(), *refused));
    };
    co_return co_await exchange.blocking(finish);
}

} // namespace

void add_image_upload_routes(Router& router) { router.add(Method::Post, "/1.0/images", Permission::Project, post); }

} // namespace lxdcore::daemon
