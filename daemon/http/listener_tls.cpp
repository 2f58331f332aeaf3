// SPDX-License-Identifier: Apache-2.0
#include "http/listener.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/context.hpp>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <lxdcore/error.hpp>

#include "http/acceptor.hpp"

namespace lxdcore::daemon {

namespace {

constexpr int kBacklog = 256;
constexpr std::string_view kDefaultPort = "8443";

/// "host", "host:port", "[v6]:port", ":port" → host (may be empty) and port.
std::pair<std::string, std::string> split_address(std::string_view address) {
    if (address.starts_with('[')) {
        const auto end = address.find(']');
        if (end == std::string_view::npos) throw Error{ErrorCode::InvalidArgument, "Invalid address"};
        const auto rest = address.substr(end + 1);
        return {std::string{address.substr(1, end - 1)},
                std::string{rest.starts_with(':') ? rest.substr(1) : kDefaultPort}};
    }
    const auto colon = address.find(':');
    if (colon == std::string_view::npos || address.find(':', colon + 1) != std::string_view::npos)
        return {std::string{address}, std::string{kDefaultPort}};
    return {std::string{address.substr(0, colon)}, std::string{address.substr(colon + 1)}};
}

int bind_tcp(const std::string& address, int& family) {
    const auto [host, port] = split_address(address);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const auto* node = host.empty() || host == "*" ? "::" : host.c_str();
    if (const int code = ::getaddrinfo(node, port.c_str(), &hints, &list); code != 0)
        throw Error{ErrorCode::InvalidArgument, fmt::format("Bad address {}: {}", address, ::gai_strerror(code))};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> held{list, &::freeaddrinfo};
    const int fd = ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1, off = 0;
    if (fd >= 0) {
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (list->ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (::bind(fd, list->ai_addr, list->ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0) {
            family = list->ai_family;
            return fd;
        }
    }
    const int err = errno;
    if (fd >= 0) ::close(fd);
    throw_errno("listen on " + address, err);
}

std::shared_ptr<asio::ssl::context> make_context(const TlsOptions& options) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    auto* native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
    // every connection shows its certificate anew: nothing is resumed
    SSL_CTX_set_num_tickets(native, 0);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    // any certificate may be shown; whether it is trusted is looked up in the trust store, by its exact bytes
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    error_code ec;
    context->use_certificate_chain_file(options.certificate.string(), ec);
    if (!ec) context->use_private_key_file(options.key.string(), asio::ssl::context::pem, ec);
    if (ec) throw Error{ErrorCode::Internal, "load server certificate: " + ec.message()};
    return context;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

void describe_certificate(SSL* tls, Peer& peer) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate{SSL_get1_peer_certificate(tls), &X509_free};
    if (!certificate) return;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return;
    for (unsigned int i = 0; i < size; ++i)
        peer.fingerprint += fmt::format("{:02x}", digest[i]);
    peer.not_before = seconds_of(X509_get0_notBefore(certificate.get()));
    peer.not_after = seconds_of(X509_get0_notAfter(certificate.get()));
    unsigned char* der = nullptr;
    const int length = i2d_X509(certificate.get(), &der);
    if (length <= 0) return;
    peer.certificate.resize(static_cast<std::size_t>(length + 2) / 3 * 4 + 1);
    const int text = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(peer.certificate.data()), der, length);
    peer.certificate.resize(static_cast<std::size_t>(text));
    OPENSSL_free(der);
}

struct Source {
    std::string host, address;
};

Source source_of(Socket& socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    if (::getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) == 0)
        ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    const std::string text = host;
    return {text, text.find(':') == std::string::npos ? text + ":" + port : "[" + text + "]:" + port};
}

Awaitable<void> serve_tls(HttpServer& server, IoThread& thread, std::shared_ptr<asio::ssl::context> context,
                          Socket socket, std::string address, std::shared_ptr<void> slot) {
    Stream stream{std::move(socket), *context};
    Peer peer;
    peer.address = std::move(address);
    try {
        Deadlines::Entry deadline{thread.deadlines(), [&] { stream.close(); }};
        deadline.set(server.limits.handshake);
        co_await stream.handshake();
    } catch (const std::exception&) {
        co_return; // scanners and dropped links; nothing to say
    }
    describe_certificate(static_cast<SSL*>(stream.native_tls()), peer);
    co_await serve(server, thread, std::move(stream), std::move(peer), std::move(slot));
}

class TlsListener final : public Listener {
public:
    TlsListener(HttpServer& server, IoThreads& threads, const TlsOptions& options) {
        ConnectionSlots slots{server.limits.tls_connections, server.limits.tls_per_source};
        auto context = make_context(options);
        int family = AF_INET6;
        const int fd = bind_tcp(options.address, family);
        loop_ = accept_loop(threads, fd, family, [slots, context, &server](IoThread& thread, Socket socket) mutable {
            auto source = source_of(socket);
            auto slot = slots.take(source.host);
            if (!slot) return;
            const int on = 1;
            ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            asio::co_spawn(
                thread.io().get_executor(),
                serve_tls(server, thread, context, std::move(socket), std::move(source.address), std::move(slot)),
                asio::detached);
        });
    }

private:
    std::shared_ptr<void> loop_;
};

} // namespace

std::unique_ptr<Listener> listen_tls(HttpServer& server, IoThreads& threads, const TlsOptions& options) {
    return std::make_unique<TlsListener>(server, threads, options);
}

} // namespace lxdcore::daemon
