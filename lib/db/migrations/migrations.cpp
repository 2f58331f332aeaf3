// SPDX-License-Identifier: Apache-2.0
#include "db/migrations/migrations.hpp"

#include "db/database.hpp"

namespace lxdcore::db {

const std::vector<Migration>& local_migrations() {
    static const std::vector<Migration> list{{1, local_0001}};
    return list;
}

const std::vector<Migration>& global_migrations() {
    static const std::vector<Migration> list{{1, global_0001}};
    return list;
}

} // namespace lxdcore::db
