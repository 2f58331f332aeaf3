// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lxdcore/service/image_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// Sends an image: @p rootfs -1 for a unified one. Both are read from their start. The aliases are made once the server
/// has the image, before its operation ends here.
OperationPtr send_image(Rest& rest, const ImageUpload& upload, int metadata, int rootfs);
/// Files of an image as the server gives them out.
std::vector<ImageService::ExportFile> receive_image(Rest& rest, const Url& url);

} // namespace lxdcore::client
