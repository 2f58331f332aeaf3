// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "db/database.hpp"
#include "db/sqlite/connection.hpp"

namespace lxdcore::db {

/// Looks at an existing file without changing it: quick_check, and that its schema is not newer than @p migrations.
/// Gives the version of its schema, 0 for a new or empty file. @throws Error Internal
int check_file(const std::filesystem::path& path, const std::vector<Migration>& migrations);

/// Copies the database to <path>.bak, complete and on the disk when it returns.
void back_up(Connection& connection, const std::filesystem::path& path);

/// Applies what is missing, in one transaction.
void migrate(Connection& connection, int version, const std::vector<Migration>& migrations);

} // namespace lxdcore::db
