// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include <lxdcore/service/server_service.hpp>

#include "auth/identity.hpp"
#include "http/response.hpp"

namespace lxdcore::daemon {

/// The answers of GET /1.0, encoded once and kept until something changes: clients ask on every connection.
/// Thread-safe.
class ServerInfo {
public:
    explicit ServerInfo(ServerService& server) : server_{server} {}
    /// The ready answer; nothing if it must be made again.
    std::optional<Response> cached(const Identity& identity) const;
    /// Makes it anew (database, files).
    Response fresh(const Identity& identity);
    void invalidate() noexcept { ++generation_; }

private:
    struct Answers {
        std::shared_ptr<const std::string> admin, trusted, untrusted;
        std::string etag;
        std::uint64_t generation = 0;
        std::chrono::steady_clock::time_point made;
    };
    static Response answer(const Answers& answers, const Identity& identity);
    ServerService& server_;
    std::atomic<std::uint64_t> generation_{1};
    mutable std::mutex mutex_;
    std::shared_ptr<const Answers> answers_;
};

} // namespace lxdcore::daemon
