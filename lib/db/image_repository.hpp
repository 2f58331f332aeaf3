// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>

#include "db/database.hpp"

namespace lxdcore::db {

/// An image as the tables hold it.
struct ImageRow {
    std::int64_t id = 0;
    int architecture = 0; ///< LXD's number
    api::Image image;     ///< all but the name of the architecture
};

/// Images and their aliases. Reentrant.
class ImageRepository {
public:
    std::vector<ImageRow> list(Transaction& tx, const std::string& project, bool public_only) const;
    /// Those whose fingerprint begins with @p prefix (hex digits), at most two.
    std::vector<ImageRow> find(Transaction& tx, const std::string& project, const std::string& prefix,
                               bool public_only) const;
    bool in_any_project(Transaction& tx, const std::string& fingerprint) const;
    /// @throws Error AlreadyExists, NotFound for an unknown project or profile
    std::int64_t insert(Transaction& tx, const std::string& project, const ImageRow& row) const;
    void update(Transaction& tx, const std::string& project, std::int64_t id, const api::ImagePut& image) const;
    void touch(Transaction& tx, std::int64_t id, const api::Time& when) const;
    void remove(Transaction& tx, std::int64_t id) const;

    std::vector<api::ImageAlias> aliases(Transaction& tx, const std::string& project) const;
    std::optional<api::ImageAlias> alias(Transaction& tx, const std::string& project, const std::string& name,
                                         bool public_only) const;
    void insert_alias(Transaction& tx, const std::string& project, std::int64_t image_id, const std::string& name,
                      const std::string& description) const;
    void update_alias(Transaction& tx, const std::string& project, const std::string& name, std::int64_t image_id,
                      const std::string& description) const;
    void rename_alias(Transaction& tx, const std::string& project, const std::string& name,
                      const std::string& to) const;
    bool remove_alias(Transaction& tx, const std::string& project, const std::string& name) const;

private:
    std::vector<ImageRow> select(Transaction& tx, const std::string& where, const std::vector<Bind>& binds) const;
    void write_lists(Transaction& tx, const std::string& project, std::int64_t id, const api::ImagePut& image) const;
};

} // namespace lxdcore::db
