// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "admin/api_client.hpp"

namespace lxdcore::daemon {

/// The verbs of the administrator's program. Each returns when done and throws Error with a text for the terminal.

/// Until the daemon answers and has started its instances. @p timeout zero: no limit.
void wait_ready(const ApiClient& client, std::chrono::seconds timeout);
/// Stops the instances, then the daemon; returns when it has gone.
void shutdown(const ApiClient& client, std::chrono::seconds timeout, bool force);
/// Connects once, so that systemd starts the daemon, if there is anything it could have to do.
void activate_if_needed(const ApiClient& client);
/// @p query "-" reads standard input; ".dump" and ".schema" as of sqlite3.
void sql(const ApiClient& client, const std::string& database, const std::string& query);

/// Asks for pools, looks on them for what the database has lost, and takes it back.
void recover(const ApiClient& client);

struct InitOptions {
    std::string network_address;
    int network_port = -1;
    std::string storage_backend;
    std::string storage_create_device;
    int storage_create_loop = -1;
    std::string storage_pool;
    std::string trust_password;
};
void init_auto(const ApiClient& client, const InitOptions& options);
/// Asks on standard input, changes nothing before the last answer.
void init_ask(const ApiClient& client);
/// YAML on standard input. What was changed is undone if a later part fails.
void init_preseed(const ApiClient& client);
void init_dump(const ApiClient& client);

std::string free_bridge_name(); ///< lxdbr0, or the next one
std::string listen_address(const InitOptions& options);
/// Applies {config, networks, storage_pools, profiles}.
void apply_preseed(const ApiClient& client, const nlohmann::json& preseed);
/// Rows as `lxd sql` prints them.
std::string format_table(const nlohmann::json& result);

} // namespace lxdcore::daemon
