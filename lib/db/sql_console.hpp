// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// What an administrator types: {"Results":[{"type","columns","rows","rows_affected"}…]}, all statements in one
/// transaction; for ".schema", ".dump" and ".tables" {"text": …}.
/// @throws Error InvalidArgument "No query provided", Internal with SQLite's text
nlohmann::json run_console(Database& database, const std::string& query);

} // namespace lxdcore::db
