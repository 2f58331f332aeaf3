// SPDX-License-Identifier: Apache-2.0
// Bodies of requests: parsed within bounds, written again so that they read the same, taken into the structs.
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/api/instance.hpp>
#include <lxdcore/api/resources.hpp>

#include "fuzz/fuzz.hpp"

using namespace lxdcore;

namespace {
template <class T>
void read_as(const nlohmann::json& json) {
    fuzz::refused_or_done([&] {
        const nlohmann::json written = json.get<T>();
        fuzz::require(nlohmann::json(written.get<T>()) == written);
    });
}
} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::refused_or_done([&] {
        const auto json = api::parse_json(fuzz::text_of(data, size));
        fuzz::require(api::parse_json(api::encode_json(json)) == json);
        read_as<api::InstancesPost>(json);
        read_as<api::InstancePatch>(json);
        read_as<api::ImagePut>(json);
        read_as<api::NetworksPost>(json);
        read_as<api::CertificatesPost>(json);
    });
    return 0;
}
