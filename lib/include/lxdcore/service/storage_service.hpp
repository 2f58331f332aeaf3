// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Storage pools and the view of their volumes. Thread-safe.
/// All throw Error NotFound "Storage pool not found" for an unknown pool.
class LXDCORE_API StorageService {
public:
    virtual ~StorageService();
    virtual std::vector<api::StoragePool> list() const = 0;
    virtual std::vector<std::string> names() const = 0;
    virtual api::StoragePool get(const std::string& name) const = 0;
    virtual void create(const api::StoragePoolsPost& pool) = 0;
    virtual void update(const std::string& name, const api::StoragePoolPut& pool, const std::string& if_match) = 0;
    virtual void patch(const std::string& name, const api::StoragePoolPatch& pool, const std::string& if_match) = 0;
    virtual void remove(const std::string& name) = 0;
    virtual api::StoragePoolResources resources(const std::string& name) const = 0;
    /// type "": all of container, image, custom, virtual-machine.
    virtual std::vector<api::StorageVolume> volumes(const std::string& pool, const std::string& project,
                                                    const std::string& type) const = 0;
    virtual api::StorageVolume volume(const std::string& pool, const std::string& project, const std::string& type,
                                      const std::string& name) const = 0;
    static std::string etag(const api::StoragePool& pool);
    static std::string etag(const api::StorageVolume& volume);
};

} // namespace lxdcore
