// SPDX-License-Identifier: Apache-2.0
#include "http/response.hpp"

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

namespace lxdcore::daemon {

namespace {

Response json_response(unsigned status, std::string body) {
    Response response;
    response.status = status;
    response.set("Content-Type", "application/json");
    response.body.emplace_back(std::move(body));
    return response;
}

} // namespace

FileBody file_body(int fd, std::int64_t size) {
    return {std::shared_ptr<int>{new int{fd},
                                 [](int* held) {
                                     ::close(*held);
                                     delete held;
                                 }},
            size};
}

std::string sync_envelope(const std::string& metadata_json) {
    return R"({"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":)" +
           metadata_json + "}\n";
}

Response Response::sync(const nlohmann::json& metadata, const std::string& etag) {
    auto response = json_response(200, sync_envelope(api::encode_json(metadata)));
    if (!etag.empty()) response.set("ETag", '"' + etag + '"');
    return response;
}

Response Response::empty() { return json_response(200, sync_envelope("{}")); }

Response Response::created(const std::string& location) {
    auto response = json_response(201, sync_envelope("null"));
    response.set("Location", location);
    return response;
}

Response Response::operation(const OperationPtr& operation) {
    const auto url = "/1.0/operations/" + operation->id();
    auto response = json_response(
        202, fmt::format(R"({{"type":"async","status":"Operation created","status_code":100,"operation":"{}",)"
                         R"("error_code":0,"error":"","metadata":{}}})"
                         "\n",
                         url, api::encode_json(operation->to_json(true))));
    response.set("Location", url);
    return response;
}

Response Response::error(unsigned status, const std::string& text) {
    // LXD ends an error with two newlines: its encoder's and http.Error's
    auto response = json_response(
        status, fmt::format(R"({{"type":"error","status":"","status_code":0,"operation":"","error_code":{},"error":{},)"
                            R"("metadata":null}})"
                            "\n\n",
                            status, api::encode_json(text)));
    response.set("X-Content-Type-Options", "nosniff");
    return response;
}

Response Response::plain(unsigned status, std::string text, std::string type) {
    Response response;
    response.status = status;
    response.set("Content-Type", std::move(type));
    response.body.emplace_back(std::move(text));
    return response;
}

Response Response::file(FileBody body, std::string type) {
    Response response;
    response.set("Content-Type", std::move(type));
    response.body.emplace_back(std::move(body));
    return response;
}

} // namespace lxdcore::daemon
