// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <lxdcore/client.hpp>

#include "util/unique_fd.hpp"

namespace boost::asio::ssl {
class context;
}

/// The files that the user of a client names: certificates and a socket.
namespace lxdcore::client {

/// TLS 1.3 with our certificate, if there is one. @p pinned: the server's certificate is compared, not verified.
std::shared_ptr<boost::asio::ssl::context> make_tls_context(const ClientOptions& options, bool pinned);
/// SHA-256 of the DER form, hex. @throws Error NotFound, InvalidArgument
std::string certificate_fingerprint(const std::filesystem::path& pem);
/// O_PATH. @throws Error Unavailable
UniqueFd open_path(const std::string& path);

} // namespace lxdcore::client
