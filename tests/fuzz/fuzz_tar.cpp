// SPDX-License-Identifier: Apache-2.0
// Archives of images as the caged helper reads them, and the names in them.
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.hpp"
#include "helper/tree_writer.hpp"
#include "helper/unpack_tar.hpp"

using namespace lxdcore;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static helper::TarReader reader;
    if (size < 1) return 0;
    fuzz::refused_or_done([&] {
        const auto name = helper::TreeWriter::normalise(fuzz::text_of(data, size));
        fuzz::require(!name.starts_with('/') && ("/" + name + "/").find("/../") == std::string::npos);
    });
    const int archive = ::memfd_create("archive", MFD_CLOEXEC);
    fuzz::require(archive >= 0 && ::write(archive, data + 1, size - 1) == static_cast<ssize_t>(size - 1));
    ::lseek(archive, 0, SEEK_SET);
    const helper::UnpackLimits limits{.bytes = 8 << 20, .entries = 1000, .ratio = 100, .floor = 1 << 20};
    fuzz::refused_or_done([&] {
        const auto upto = (data[0] & 2) != 0 ? helper::ReadUpTo::Kind : helper::ReadUpTo::End;
        helper::ArchiveContent content{
            .image = (data[0] & 1) != 0, .prefixes = {}, .document = (data[0] & 8) != 0 ? "backup/index.yaml" : ""};
        if ((data[0] & 4) != 0) content.prefixes = {"backup/snapshots/s0/", "backup/container/"};
        const auto found = reader.read(archive, {}, content, upto, limits);
        fuzz::require(found.bytes <= limits.bytes && found.entries <= limits.entries);
    });
    ::close(archive);
    return 0;
}
