// SPDX-License-Identifier: Apache-2.0
#include "image/manager_impl.hpp"

namespace lxdcore::image {

void ImageManagerImpl::import_stream(const ImageUpload& upload, const ImageWriter& write, OperationContext& op) {
    UploadFiles files{images_.use()};
    write([&](const char* data, std::size_t size) {
        op.throw_if_cancelled();
        files.write_metadata(data, size);
    });
    import(upload, files, op);
}

} // namespace lxdcore::image
