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
/// Destroyed without finish(): everything is removed. Thread-bound.
class LXDCORE_API ImageSink {
public:
    virtual ~ImageSink();
    virtual void write_metadata(const char* data, std::size_t size) = 0; ///< unified tarball, or the metadata part
    virtual void write_rootfs(const char* data, std::size_t size) = 0;   ///< split images only
    /// Starts the import of what was written: checks, parses metadata in the caged child, records the image.
    /// Operation metadata ends with {"fingerprint","size"} as strings.
    virtual OperationPtr finish(const ImageUpload& upload) = 0;
};

/// Images of a project. Thread-safe. Fingerprints may be prefixes of at least 12 hex digits (D1).
class LXDCORE_API ImageService {
public:
    virtual ~ImageService();
    virtual std::vector<api::Image> list(const std::string& project, bool public_only) const = 0;
    virtual std::vector<std::string> fingerprints(const std::string& project, bool public_only) const = 0;
    /// @throws Error NotFound "Image not found", InvalidArgument for a malformed fingerprint
    virtual api::Image get(const std::string& project, const std::string& fingerprint, bool public_only) const = 0;
    /// Begins an upload into the state directory.
    virtual std::unique_ptr<ImageSink> upload() = 0;
    /// Imports files that are on this host already: a unified tarball, or metadata and rootfs.
    virtual OperationPtr import_files(const ImageUpload& upload, const std::string& metadata_path,
                                      const std::string& rootfs_path) = 0;
    virtual void update(const std::string& project, const std::string& fingerprint, const api::ImagePut& image,
                        const std::string& if_match) = 0;
    virtual void patch(const std::string& project, const std::string& fingerprint, const api::ImagePatch& image,
                       const std::string& if_match) = 0;
    virtual OperationPtr remove(const std::string& project, const std::string& fingerprint) = 0;
    struct ExportFile {
        std::string name;
        int fd = -1;
        std::int64_t size = 0;
    }; ///< fd is the caller's to close
    /// One file (unified) or two (metadata first), byte for byte as imported.
    virtual std::vector<ExportFile> open_export(const std::string& project, const std::string& fingerprint,
                                                bool public_only) = 0;
    /// POST …/secret: a one-time token operation for reading a private image.
    virtual OperationPtr create_secret(const std::string& project, const std::string& fingerprint) = 0;
    /// POST …/refresh: uploaded images have no source; the operation succeeds with {"refreshed": false}.
    virtual OperationPtr refresh(const std::string& project, const std::string& fingerprint) = 0;

    virtual std::vector<api::ImageAlias> aliases(const std::string& project) const = 0;
    virtual api::ImageAlias alias(const std::string& project, const std::string& name, bool public_only) const = 0;
    virtual void create_alias(const std::string& project, const api::ImageAlias& alias) = 0;
    virtual void update_alias(const std::string& project, const std::string& name, const api::ImageAliasPatch& alias,
                              const std::string& if_match) = 0;
    virtual void rename_alias(const std::string& project, const std::string& name, const std::string& new_name) = 0;
    virtual void remove_alias(const std::string& project, const std::string& name) = 0;
    static std::string etag(const api::Image& image);
    static std::string etag(const api::ImageAlias& alias);
};

} // namespace lxdcore
