// SPDX-License-Identifier: Apache-2.0
// metadata.yaml and preseeds.
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/api/metadata.hpp>

#include "fuzz/fuzz.hpp"

using namespace lxdcore;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{fuzz::text_of(data, size)};
    fuzz::refused_or_done([&] { (void)api::to_string_map(api::parse_yaml(text)); });
    fuzz::refused_or_done([&] {
        const auto metadata = api::metadata_from_yaml(text);
        const auto written = api::metadata_to_yaml(metadata);
        fuzz::require(api::metadata_to_yaml(api::metadata_from_yaml(written)) == written);
    });
    return 0;
}
