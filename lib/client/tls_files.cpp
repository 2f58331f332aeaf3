// SPDX-License-Identifier: Apache-2.0
#include "client/tls_files.hpp"

#include <fcntl.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include <boost/asio/ssl/context.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include <lxdcore/error.hpp>

#include "util/x509.hpp"

namespace lxdcore::client {

namespace ssl = boost::asio::ssl;

std::shared_ptr<ssl::context> make_tls_context(const ClientOptions& options, bool pinned) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
    auto* native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    if (pinned)
        context->set_verify_mode(ssl::verify_none); // its fingerprint is compared after the handshake
    else
        context->set_verify_mode(ssl::verify_peer);
    boost::system::error_code ec;
    if (!pinned) context->set_default_verify_paths(ec);
    if (options.certificate.empty() != options.key.empty())
        throw Error{ErrorCode::InvalidArgument, "A certificate and its key belong together"};
    if (options.certificate.empty()) return context;
    context->use_certificate_chain_file(options.certificate.string(), ec);
    if (ec) throw Error{ErrorCode::NotFound, fmt::format("load {}: {}", options.certificate.string(), ec.message())};
    context->use_private_key_file(options.key.string(), ssl::context::pem, ec);
    if (ec) throw Error{ErrorCode::NotFound, fmt::format("load {}: {}", options.key.string(), ec.message())};
    return context;
}

std::string certificate_fingerprint(const std::filesystem::path& pem) {
    std::ifstream file{pem};
    if (!file) throw Error{ErrorCode::NotFound, fmt::format("open {}: {}", pem.string(), std::strerror(errno))};
    std::ostringstream text;
    text << file.rdbuf();
    return x509::parse(text.str()).fingerprint;
}

UniqueFd open_path(const std::string& path) {
    UniqueFd fd{::open(path.c_str(), O_PATH | O_CLOEXEC)};
    if (!fd) throw Error{ErrorCode::Unavailable, fmt::format("connect to {}: {}", path, std::strerror(errno))};
    return fd;
}

} // namespace lxdcore::client
