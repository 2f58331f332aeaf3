// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "http/io_threads.hpp"
#include "http/session.hpp"

namespace lxdcore::daemon {

/// Counts connections against a bound; a slot is given back when its holder lets go. Thread-safe.
class ConnectionSlots {
public:
    ConnectionSlots(std::size_t most, std::size_t most_per_source);
    ~ConnectionSlots();
    /// Null when there is none left for @p source.
    std::shared_ptr<void> take(const std::string& source);
    std::size_t taken() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

/// Accepts connections until destroyed; those accepted live on. Thread-safe.
class Listener {
public:
    virtual ~Listener();
};

struct UnixSocketOptions {
    std::filesystem::path path;
    std::string group;  ///< may connect besides root; "": root only
    int inherited = -1; ///< a listening socket from systemd; -1: make one at `path`
};
/// There is no moment at which others could connect: the socket is made under a private name with its final mode and
/// owner, then renamed. @throws Error
std::unique_ptr<Listener> listen_unix(HttpServer& server, IoThreads& threads, const UnixSocketOptions& options);

struct TlsOptions {
    std::string address; ///< core.https_address: "[::]:8443", "10.0.0.1", ":8443"
    std::filesystem::path certificate, key;
};
/// @throws Error InvalidArgument (address), Internal (key, port in use)
std::unique_ptr<Listener> listen_tls(HttpServer& server, IoThreads& threads, const TlsOptions& options);

} // namespace lxdcore::daemon
