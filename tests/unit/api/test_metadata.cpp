// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/metadata.hpp>
#include <lxdcore/error.hpp>

using namespace lxdcore;
using namespace lxdcore::api;

TEST_CASE("metadata is written in the order of LXD's fields") {
    ImageMetadata metadata{.architecture = "x86_64", .creation_date = 1};
    CHECK(json_text(metadata) ==
          R"({"architecture":"x86_64","creation_date":1,"expiry_date":0,"properties":null,"templates":null})");
    metadata.properties = StringMap{{"a", "<"}};
    metadata.templates.emplace()["/etc/x"] = {.when = std::vector<std::string>{"start"}, .source = "x.tpl"};
    CHECK(
        json_text(metadata).find(
            R"("templates":{"/etc/x":{"when":["start"],"create_only":false,"template":"x.tpl","properties":null}})") !=
        std::string::npos);
    CHECK(json_text(metadata).find(R"({"a":"\u003c"})") != std::string::npos);
}

TEST_CASE("what is written as YAML is read again") {
    ImageMetadata metadata{.architecture = "x86_64", .creation_date = 7};
    metadata.properties = StringMap{{"n", "1"}, {"t", "a: b\nc"}};
    metadata.templates.emplace()["/etc/x"] = {
        .when = std::vector<std::string>{"copy", "start"}, .create_only = true, .source = "x"};
    const auto again = metadata_from_yaml(metadata_to_yaml(metadata));
    metadata.templates->at("/etc/x").properties.emplace();
    CHECK(json_text(again) == json_text(metadata));
}

TEST_CASE("numbers where texts are meant become texts") {
    const auto metadata =
        metadata_from_yaml("properties: {release: 12, x: true}\ntemplates: {/a: {properties: {n: 3}}}");
    CHECK(*metadata.properties == StringMap{{"release", "12"}, {"x", "true"}});
    CHECK(*metadata.templates->at("/a").properties == StringMap{{"n", "3"}});
    CHECK(json_text(metadata_from_yaml("")) == json_text(ImageMetadata{}));
}

TEST_CASE("metadata of another shape is an error") {
    for (const auto* text :
         {"- a", "a", "architecture: [x]", "creation_date: x", "templates: [a]", "templates: {/a: 1}",
          "properties: {a: [b]}", "templates: {/a: {when: start}}", "architecture: ["}) {
        CAPTURE(text);
        CHECK_THROWS_AS(metadata_from_yaml(text), Error);
    }
}

TEST_CASE("metadata that no reader would take is not written") {
    ImageMetadata metadata;
    metadata.properties = StringMap{{"big", std::string((1 << 20) + 1, 'x')}};
    CHECK_THROWS_AS(metadata_to_yaml(metadata), Error);
}
