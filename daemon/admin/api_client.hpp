// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace lxdcore::daemon {

/// Talks to the running daemon over its local socket, one connection per request. Thread-bound.
class ApiClient {
public:
    explicit ApiClient(std::filesystem::path socket) : socket_{std::move(socket)} {}
    /// The reply's metadata. @p body null: none. @p timeout zero: no limit.
    /// @throws Error Unavailable (nobody answers), NotFound, or Internal with the daemon's text
    nlohmann::json request(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr,
                           std::chrono::seconds timeout = std::chrono::seconds{0}) const;
    /// True if a connection can be made.
    bool reachable() const;

private:
    int connect() const;
    std::filesystem::path socket_;
};

/// $LXD_DIR, or /var/lib/lxd.
std::filesystem::path state_dir();

} // namespace lxdcore::daemon
