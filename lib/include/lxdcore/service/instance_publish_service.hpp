// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// What becomes of an instance or of one of its snapshots.
struct PublishRequest {
    std::string project = "default";
    std::string instance;
    std::string snapshot;    ///< "": the instance as it is
    std::string compression; ///< "zstd -3"; "": images.compression_algorithm
    std::string filename;
    bool is_public = false;
    api::StringMap properties;
    std::vector<std::string> profiles;
    std::vector<api::ImageAliasRef> aliases;
    api::Time expires_at;
};

/// Images made of instances. Thread-safe.
class LXDCORE_API InstancePublishService {
public:
    virtual ~InstancePublishService();
    /// The operation's metadata ends with {"fingerprint","size"} as strings, size in bytes. @throws Error NotFound,
    /// InvalidArgument (compression, alias). An instance that runs (BadState), an alias that is taken, NoSpace fail the
    /// operation.
    virtual OperationPtr publish(const PublishRequest& request) = 0;
};

} // namespace lxdcore
