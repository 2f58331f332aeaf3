// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// What a client says about an image it uploads (the X-LXD-* headers).
struct ImageUpload {
    std::string project = "default";
    std::string filename;
    std::string expected_fingerprint; ///< "" or 64 hex digits; a mismatch fails the import
    bool is_public = false;
    api::StringMap properties;
    std::vector<std::string> profiles;
    std::vector<api::ImageAliasRef> aliases;
};

/// Receives the bytes of an image while they arrive, hashed and stored in one pass; nothing is kept in memory.
/// Destroyed without finish(): everything is removed. Thread-bound. From a Client the server's answer comes with
/// finish().
class LXDCORE_API ImageSink {
public:
    virtual ~ImageSink();
    /// The unified tarball, or the metadata part; @p size in bytes. @throws Error NoSpace, InvalidArgument "Invalid
    /// multipart image" after write_rootfs()
    virtual void write_metadata(const char* data, std::size_t size) = 0;
    /// The second part of split images. @throws Error NoSpace, InvalidArgument before any write_metadata()
    virtual void write_rootfs(const char* data, std::size_t size) = 0;
    /// Starts the import of what was written: checks, parses metadata in the caged child, records the image. Operation
    /// metadata ends with {"fingerprint","size"} as strings, size in bytes. An image that is there already fails it
    /// (AlreadyExists).
    virtual OperationPtr finish(const ImageUpload& upload) = 0;
};

/// Images of a project. Thread-safe. Fingerprints may be prefixes of at least 12 hex digits (D1). All throw Error
/// NotFound "Image not found", InvalidArgument for a malformed fingerprint, Internal "More than one image matches";
/// those with @p public_only see no others; those with @p if_match throw StaleEtag when it is neither "" nor the
/// etag(). Unavailable: the volume that images are on is away.
class LXDCORE_API ImageService {
public:
    virtual ~ImageService();
    /// In the order of fingerprints; none in an unknown project.
    virtual std::vector<api::Image> list(const std::string& project, bool public_only) const = 0;
    /// The fingerprints alone, whole.
    virtual std::vector<std::string> fingerprints(const std::string& project, bool public_only) const = 0;
    /// With its aliases and profiles.
    virtual api::Image get(const std::string& project, const std::string& fingerprint, bool public_only) const = 0;
    /// Begins an upload into the state directory.
    virtual std::unique_ptr<ImageSink> upload() = 0;
    /// Imports files that are on this host already: a unified tarball, or metadata and rootfs. Paths are absolute. What
    /// is wrong with them fails the operation. Metadata as of ImageSink::finish().
    virtual OperationPtr import_files(const ImageUpload& upload, const std::string& metadata_path,
                                      const std::string& rootfs_path) = 0;
    /// Replaces auto_update, public, properties, expiry and profiles.
    virtual void update(const std::string& project, const std::string& fingerprint, const api::ImagePut& image,
                        const std::string& if_match) = 0;
    /// The same; what is absent stays, properties are added.
    virtual void patch(const std::string& project, const std::string& fingerprint, const api::ImagePatch& image,
                       const std::string& if_match) = 0;
    /// With its aliases; its files when no project has it any more. Instances keep what they have.
    virtual OperationPtr remove(const std::string& project, const std::string& fingerprint) = 0;
    /// A file of an image.
    struct ExportFile {
        std::string name;
        int fd = -1;           ///< for reading, the caller's to close
        std::int64_t size = 0; ///< bytes
    };
    /// One file (unified) or two (metadata first), byte for byte as imported.
    virtual std::vector<ExportFile> open_export(const std::string& project, const std::string& fingerprint,
                                                bool public_only) = 0;
    /// POST …/secret: a token operation, whose metadata {"secret"} lets others read a private image; it ends by
    /// cancel(), which the daemon calls when it was used.
    virtual OperationPtr create_secret(const std::string& project, const std::string& fingerprint) = 0;
    /// POST …/refresh: uploaded images have no source, so the operation fails (NotFound "… Image source not found").
    virtual OperationPtr refresh(const std::string& project, const std::string& fingerprint) = 0;

    /// By name.
    virtual std::vector<api::ImageAlias> aliases(const std::string& project) const = 0;
    /// @throws Error NotFound "Image alias not found", as all of the next
    virtual api::ImageAlias alias(const std::string& project, const std::string& name, bool public_only) const = 0;
    /// `target` is a fingerprint. @throws Error AlreadyExists, InvalidArgument (name)
    virtual void create_alias(const std::string& project, const api::ImageAlias& alias) = 0;
    /// What is absent stays.
    virtual void update_alias(const std::string& project, const std::string& name, const api::ImageAliasPatch& alias,
                              const std::string& if_match) = 0;
    /// @throws Error AlreadyExists, InvalidArgument (new name)
    virtual void rename_alias(const std::string& project, const std::string& name, const std::string& new_name) = 0;
    /// The image stays.
    virtual void remove_alias(const std::string& project, const std::string& name) = 0;
    /// Of [public, auto_update, properties].
    static std::string etag(const api::Image& image);
    /// Of all of it.
    static std::string etag(const api::ImageAlias& alias);
};

} // namespace lxdcore
