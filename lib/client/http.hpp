// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lxdcore/client.hpp>

#include "client/dialer.hpp"
#include "client/http_message.hpp"
#include "client/io_thread.hpp"

namespace lxdcore::client {

/// HTTP/1.1 with one server over connections that are kept. Thread-safe; what returns an Awaitable belongs on the I/O
/// thread. All throw Error Unavailable when the server cannot be reached or goes away.
class Http {
public:
    explicit Http(const ClientOptions& options) : dialer_{options}, timeout_{options.timeout} {}
    /// The thread ends before what it works on, and that before what it waits with.
    ~Http() {
        thread_.stop();
        idle_.clear();
    }
    IoThread& thread() noexcept { return thread_; }
    HttpReply request(HttpRequest request) { return thread_.run(exchange(std::move(request), timeout_)); }
    /// @p limit 0: none
    Awaitable<HttpReply> exchange(HttpRequest request, std::chrono::milliseconds limit);
    std::unique_ptr<HttpDownload> download(HttpRequest request);
    std::unique_ptr<HttpUpload> upload(HttpRequest request); ///< chunked
    /// A connection of its own that speaks something else once the server has agreed (status 101). @p early: what
    /// of that has come already.
    Awaitable<Stream> upgrade(HttpRequest request, std::string& early);
    /// A connection of its own.
    Awaitable<Stream> connect() { return dialer_.connect(thread_.io().get_executor()); }
    const std::string& host() const noexcept { return dialer_.host(); }
    bool is_unix() const noexcept { return dialer_.is_unix(); }

private:
    class DownloadImpl;
    class UploadImpl;
    Awaitable<Stream> take();
    void give_back(Stream stream);
    std::string head_of(const HttpRequest& request, bool chunked) const;

    const Dialer dialer_;
    const std::chrono::milliseconds timeout_;
    IoThread thread_;
    std::vector<Stream> idle_; ///< of the I/O thread
};

} // namespace lxdcore::client
