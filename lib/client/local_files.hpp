// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "client/http_message.hpp"
#include "util/unique_fd.hpp"

/// Files on this side of the wire.
namespace lxdcore::client {

/// A file without a name, removed with its last descriptor.
UniqueFd temporary_file();
UniqueFd open_for_reading(const std::string& path); ///< @throws Error NotFound, …
void write_all(int fd, const char* data, std::size_t size);
/// All of @p fd from where it is, or from its start with @p rewind.
void send_file(HttpUpload& upload, int fd, bool rewind);
/// All of an answer's body.
void receive_file(HttpDownload& download, int fd);

} // namespace lxdcore::client
