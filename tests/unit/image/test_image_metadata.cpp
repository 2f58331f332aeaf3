// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>
#include <lxdcore/service/image_service.hpp>

#include "api/codec.hpp"
#include "image/image_metadata.hpp"

using namespace lxdcore;
/// As an import does it, without the cage.
static image::ImageMetadata parse_metadata(const std::string& yaml) {
    return image::read_metadata(api::parse_yaml(yaml));
}

TEST_CASE("metadata gives architecture, dates and properties as text") {
    const auto metadata = parse_metadata("architecture: amd64\ncreation_date: 1700000000\nexpiry_date: 1800000000\n"
                                         "properties:\n  os: bb\n  release: 12\n  flag: true\n");
    CHECK(metadata.architecture == 2);
    CHECK(metadata.created_at.str() == "2023-11-14T22:13:20Z");
    CHECK(metadata.expires_at.str() == "2027-01-15T08:00:00Z");
    CHECK(metadata.properties == api::StringMap{{"flag", "true"}, {"os", "bb"}, {"release", "12"}});
}

TEST_CASE("a field of the wrong type is an error, never a crash") {
    const std::string good = "architecture: x86_64\ncreation_date: 1\n";
    for (const char* bad :
         {"properties: 5\n", "properties: [1]\n", "properties: {a: {b: c}}\n", "templates: x\n", "templates: {/a: 1}\n",
          "templates: {/a: {template: ../x}}\n", "templates: {/a: {template: [x]}}\n",
          "templates: {/a: {when: create}}\n", "templates: {/a: {template: a.tpl, when: always}}\n",
          "templates: {/a: {template: a.tpl, create_only: 7}}\n", "templates: {/a: {template: a.tpl, properties: 7}}\n",
          "expiry_date: soon\n", "expiry_date: [1]\n", "expiry_date: 99999999999999\n"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(parse_metadata(good + bad), Error);
    }
    for (const char* bad : {"", "x", "[]", "architecture: [x]\ncreation_date: 1\n", "architecture: x86_64\n",
                            "architecture: x86_64\ncreation_date: abc\n", "creation_date: 1\n", "a: &x [1]\nb: *x\n"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(parse_metadata(bad), Error);
    }
}

TEST_CASE("errors about metadata have the texts that clients know") {
    CHECK_THROWS_WITH(parse_metadata("architecture: foo\ncreation_date: 1\n"), "Architecture isn't supported: foo");
    CHECK_THROWS_WITH(parse_metadata("architecture: x86_64\n"), "Missing creation date");
}

TEST_CASE("ETags of images and aliases are those of LXD") {
    api::Image image;
    image.is_public = true;
    image.properties = {{"os", "over"}, {"release", "1"}, {"z", "1"}};
    CHECK(ImageService::etag(image) == "5001d5656a45d0cddcda1a7f0498508b4a240f28cba545b4e77a3cf3446a503e");
    const api::ImageAlias alias{.name = "store-x",
                                .description = "dd",
                                .target = "3e8ca00cddc99a0a49b86cf498277003115ceb7a851268fbda8ccad299cdb22a"};
    CHECK(ImageService::etag(alias) == "84de9eae3e1f39a65472ad53ab663f872c20227db7db0bc377ccd2118facbd46");
}
