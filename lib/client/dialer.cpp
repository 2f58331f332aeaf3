// SPDX-License-Identifier: Apache-2.0
#include "client/dialer.hpp"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/rfc2818_verification.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "client/limit.hpp"
#include "client/tls_files.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::client {

namespace {

constexpr std::string_view kUnix = "unix://", kHttps = "https://";

std::string default_socket() {
    if (const char* path = std::getenv("LXD_SOCKET"); path != nullptr && *path != '\0') return path;
    const char* dir = std::getenv("LXD_DIR");
    return std::string{dir != nullptr && *dir != '\0' ? dir : "/var/lib/lxd"} + "/unix.socket";
}

/// "host", "host:port", "[v6]:port".
std::pair<std::string, std::string> split_host(std::string_view text) {
    constexpr std::string_view kPort = "8443";
    text = text.substr(0, text.find('/'));
    const auto close = text.starts_with('[') ? text.find(']') : std::string_view::npos;
    const auto host = close == std::string_view::npos ? text.substr(0, text.rfind(':')) : text.substr(1, close - 1);
    const auto rest = close == std::string_view::npos ? text.substr(host.size()) : text.substr(close + 1);
    const auto port = rest.starts_with(':') ? rest.substr(1) : kPort;
    if (host.empty() || !text::parse_int(port)) throw Error{ErrorCode::InvalidArgument, "Bad server address"};
    return {std::string{host}, std::string{port}};
}

std::string fingerprint_of(SSL* tls) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate{SSL_get1_peer_certificate(tls), &X509_free};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!certificate || X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return {};
    std::string hex;
    for (unsigned int i = 0; i < size; ++i)
        hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

/// Addresses of a name; asked for on the I/O thread, as a client has one server only.
std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> resolve(const std::string& host, const std::string& port) {
    addrinfo hints{}, *list = nullptr;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); code != 0)
        throw Error{ErrorCode::Unavailable, fmt::format("resolve {}: {}", host, ::gai_strerror(code))};
    return {list, &::freeaddrinfo};
}

Socket make_socket(Executor executor, int family, int protocol) {
    UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol)}; // Asio's own would be inherited
    if (!fd) throw_errno("socket");
    Socket socket{executor};
    socket.assign(asio::generic::stream_protocol{family, protocol}, fd.get());
    fd.release();
    return socket;
}

} // namespace

Dialer::Dialer(const ClientOptions& options) : timeout_{options.connect_timeout} {
    const std::string_view url = options.url;
    if (url.empty()) {
        socket_path_ = default_socket();
    } else if (url.starts_with(kUnix)) {
        socket_path_ = url.substr(kUnix.size());
    } else if (url.starts_with('/')) {
        socket_path_ = url;
    } else if (url.starts_with(kHttps)) {
        std::tie(host_, port_) = split_host(url.substr(kHttps.size()));
        pinned_ = text::lower(options.server_fingerprint);
        if (!options.server_certificate.empty()) pinned_ = certificate_fingerprint(options.server_certificate);
        tls_ = make_tls_context(options, !pinned_.empty());
    } else {
        throw Error{ErrorCode::InvalidArgument, "A server is https://… or unix://…"};
    }
    if (is_unix()) host_ = "lxd";
}

Awaitable<Stream> Dialer::connect(Executor executor) const {
    if (is_unix()) co_return co_await connect_unix(executor);
    co_return co_await connect_tls(executor);
}

Awaitable<Stream> Dialer::connect_unix(Executor executor) const {
    // By descriptor, because sun_path is short.
    const UniqueFd place = open_path(socket_path_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto name = fmt::format("/proc/self/fd/{}", place.get());
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    Socket socket = make_socket(executor, AF_UNIX, 0);
    error_code ec;
    const asio::generic::stream_protocol::endpoint endpoint{&address, sizeof address};
    co_await socket.async_connect(endpoint, asio::redirect_error(use_awaitable, ec));
    if (ec) throw Error{ErrorCode::Unavailable, fmt::format("connect to {}: {}", socket_path_, ec.message())};
    co_return Stream{std::move(socket)};
}

Awaitable<Stream> Dialer::connect_tls(Executor executor) const {
    const auto addresses = resolve(host_, port_);
    error_code ec;
    for (auto* entry = addresses.get(); entry != nullptr; entry = entry->ai_next) {
        Socket socket = make_socket(executor, entry->ai_family, IPPROTO_TCP);
        {
            const Limit limit{executor, timeout_, socket};
            const asio::generic::stream_protocol::endpoint endpoint{entry->ai_addr, entry->ai_addrlen};
            co_await socket.async_connect(endpoint, asio::redirect_error(use_awaitable, ec));
            if (ec && limit.over()) ec = asio::error::timed_out;
        }
        if (ec) continue;
        const int on = 1;
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Stream stream{std::move(socket), tls_};
        SSL_set_tlsext_host_name(static_cast<SSL*>(stream.native_tls()), host_.c_str());
        if (pinned_.empty()) SSL_set1_host(static_cast<SSL*>(stream.native_tls()), host_.c_str());
        try {
            const Limit limit{executor, timeout_, stream.socket()};
            co_await stream.handshake();
        } catch (const boost::system::system_error& error) {
            throw Error{ErrorCode::Unavailable, fmt::format("TLS with {}: {}", host_, error.code().message())};
        }
        check_server(stream);
        co_return stream;
    }
    throw Error{ErrorCode::Unavailable, fmt::format("connect to {}:{}: {}", host_, port_, ec.message())};
}

void Dialer::check_server(Stream& stream) const {
    if (pinned_.empty()) return; // OpenSSL has verified the chain and the name
    if (!text::equal_constant_time(fingerprint_of(static_cast<SSL*>(stream.native_tls())), pinned_))
        throw Error{ErrorCode::Forbidden, fmt::format("{} shows another certificate than expected", host_)};
}

} // namespace lxdcore::client
