// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Storage pools and the view of their volumes. Thread-safe; changes to one pool run one after another. All throw Error
/// NotFound "Storage pool not found" for an unknown pool, and StaleEtag where @p if_match is neither "" nor the etag().
class LXDCORE_API StorageService {
public:
    virtual ~StorageService();
    /// By name, with used_by; status Created, Unavailable or Pending.
    virtual std::vector<api::StoragePool> list() const = 0;
    /// By name.
    virtual std::vector<std::string> names() const = 0;
    /// Also one that is Unavailable.
    virtual api::StoragePool get(const std::string& name) const = 0;
    /// Makes and mounts it; loop files, volume groups and the like are made as its driver does. @throws Error
    /// AlreadyExists, InvalidArgument (name, no driver), Internal (unknown driver, options, what the driver's programs
    /// say), NoSpace
    virtual void create(const api::StoragePoolsPost& pool) = 0;
    /// Replaces configuration and description. @throws Error InvalidArgument (options), Internal for another source and
    /// what the driver cannot do, Unavailable
    virtual void update(const std::string& name, const api::StoragePoolPut& pool, const std::string& if_match) = 0;
    /// As update(); what is absent stays.
    virtual void patch(const std::string& name, const api::StoragePoolPatch& pool, const std::string& if_match) = 0;
    /// With the unpacked images on it. @throws Error BadState "The storage pool is currently in use"
    virtual void remove(const std::string& name) = 0;
    /// Space in bytes, and how many inodes. @throws Error Unavailable
    virtual api::StoragePoolResources resources(const std::string& name) const = 0;
    /// Without snapshots. @p type "": all of container, image, custom, virtual-machine; @p project "": all. @throws
    /// Error InvalidArgument for another type
    virtual std::vector<api::StorageVolume> volumes(const std::string& pool, const std::string& project,
                                                    const std::string& type) const = 0;
    /// @throws Error NotFound "Storage pool volume not found", InvalidArgument for another type
    virtual api::StorageVolume volume(const std::string& pool, const std::string& project, const std::string& type,
                                      const std::string& name) const = 0;
    /// Of [name, driver, config].
    static std::string etag(const api::StoragePool& pool);
    /// Of [name, type, config].
    static std::string etag(const api::StorageVolume& volume);
};

} // namespace lxdcore
