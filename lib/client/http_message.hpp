// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace lxdcore::client {

struct HttpRequest {
    std::string method, target;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
};

struct HttpReply {
    unsigned status = 0;
    std::map<std::string, std::string> headers; ///< names in lower case
    std::string body;
    std::string header(const std::string& name) const;
};

/// The body of an answer as it comes.
class HttpDownload {
public:
    virtual ~HttpDownload() = default;
    virtual const HttpReply& reply() const = 0;                 ///< without a body
    virtual std::size_t read(char* data, std::size_t size) = 0; ///< 0: the end
    std::string read_all();
};

/// The body of a request as it is made.
class HttpUpload {
public:
    virtual ~HttpUpload() = default;
    virtual void write(const char* data, std::size_t size) = 0;
    virtual HttpReply finish() = 0;
};

/// {"type":"error",…} of an answer as an exception. @throws Error; returns if @p status is below 400
void throw_if_error(unsigned status, const std::string& body);

} // namespace lxdcore::client
