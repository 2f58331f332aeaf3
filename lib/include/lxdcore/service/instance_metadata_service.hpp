// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/metadata.hpp>
#include <lxdcore/service/instance_service.hpp>

namespace lxdcore {

/// metadata.yaml and templates/ that an instance got from its image, running or not. They take effect at the next
/// start, copy or rename. What should be a plain file or directory there and is not is refused (InvalidArgument), never
/// followed. Thread-safe. All throw Error NotFound "Instance not found" for an unknown instance, Unavailable while its
/// pool is away; those with @p if_match StaleEtag when it is neither "" nor metadata_etag().
class LXDCORE_API InstanceMetadataService {
public:
    virtual ~InstanceMetadataService();
    /// Empty without the file. @throws Error Internal for one that cannot be understood
    virtual api::ImageMetadata metadata(const InstanceRef& ref) const = 0;
    /// Replaces the file. @throws Error TooLarge for more than 1 MiB of YAML
    virtual void set_metadata(const InstanceRef& ref, const api::ImageMetadata& metadata,
                              const std::string& if_match) = 0;
    /// Properties and templates are added to those that are there. @p changes is an object like api::ImageMetadata.
    /// @throws Error InvalidArgument (types), and as metadata() and set_metadata()
    virtual void patch_metadata(const InstanceRef& ref, const nlohmann::json& changes, const std::string& if_match) = 0;
    /// Of the whole, as api::json_text() writes it.
    static std::string metadata_etag(const api::ImageMetadata& metadata);

    virtual std::vector<std::string> templates(const InstanceRef& ref) const = 0; ///< names, sorted
    /// @throws Error NotFound 'Template "x" not found', Internal "Invalid template filename"
    virtual std::string read_template(const InstanceRef& ref, const std::string& name) const = 0;
    /// Makes or replaces it; at most max_template bytes. @throws Error TooLarge, Internal as read_template()
    virtual void write_template(const InstanceRef& ref, const std::string& name, const std::string& content) = 0;
    /// @throws Error as read_template()
    virtual void remove_template(const InstanceRef& ref, const std::string& name) = 0;
    static constexpr std::size_t max_template = 1 << 20;
};

} // namespace lxdcore
