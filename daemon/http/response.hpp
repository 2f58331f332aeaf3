// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/operation.hpp>

namespace lxdcore::daemon {

/// A file that becomes (part of) a body; closed with the last copy.
struct FileBody {
    std::shared_ptr<int> fd;
    std::int64_t size = -1; ///< bytes to send; -1: up to the end of file
};

/// Takes @p fd over.
FileBody file_body(int fd, std::int64_t size);

/// What a handler answers. The body is a list of texts and files, sent in order without holding files in memory.
struct Response {
    using Part = std::variant<std::string, std::shared_ptr<const std::string>, FileBody>;
    unsigned status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<Part> body;
    bool close = false;    ///< close the connection afterwards
    bool upgraded = false; ///< the handler took the connection over; nothing is sent

    Response& set(std::string name, std::string value) {
        headers.emplace_back(std::move(name), std::move(value));
        return *this;
    }

    /// {"type":"sync",…,"metadata":@p metadata}
    static Response sync(const nlohmann::json& metadata, const std::string& etag = {});
    static Response empty();                              ///< sync with {} as LXD answers changes
    static Response created(const std::string& location); ///< 201, metadata null
    /// 202 with the operation and, for whoever started it, its secrets.
    static Response operation(const OperationPtr& operation);
    static Response error(unsigned status, const std::string& text);
    static Response plain(unsigned status, std::string text, std::string type = "text/plain; charset=utf-8");
    static Response file(FileBody body, std::string type);
};

/// The envelope of a sync reply as text, with its newline.
std::string sync_envelope(const std::string& metadata_json);

} // namespace lxdcore::daemon
