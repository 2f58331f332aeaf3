// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "api/ordered_yaml.hpp"

using namespace lxdcore::api;
using Json = nlohmann::ordered_json;

TEST_CASE("lists and maps are laid out as LXD's") {
    const auto value = Json::parse(R"({"container":{"config":{"user.x":"y","user.z":"a b: c"},"devices":{},
        "profiles":["default"],"created_at":"2026-11-28T18:29:22.940032717Z","status_code":103},
        "snapshots":[{"name":"s0","devices":{"eth0":{"name":"eth0"}},"size":-1},{"name":"s1","profiles":[]}],
        "pool":null})");
    CHECK(encode_ordered_yaml(value) == R"(container:
  config:
    user.x: "y"
    user.z: 'a b: c'
  devices: {}
  profiles:
  - default
  created_at: 2026-11-28T18:29:22.940032717Z
  status_code: 103
snapshots:
- name: s0
  devices:
    eth0:
      name: eth0
  size: -1
- name: s1
  profiles: []
pool: null
)");
}

TEST_CASE("every text comes back as the text it was") {
    Json map = Json::object();
    int i = 0;
    for (const auto* text : {"",
                             " ",
                             "~",
                             "null",
                             "true",
                             "Yes",
                             "off",
                             "n",
                             "1",
                             "-1",
                             "0x1f",
                             "1_000",
                             "1e3",
                             ".5",
                             "1:20",
                             "0o17",
                             "2026-11-28",
                             "2026-11-28T18:29:22Z",
                             "inf",
                             ".inf",
                             "nan",
                             "a: b",
                             "a:",
                             "a #b",
                             "#a",
                             "- a",
                             "-",
                             "--- a",
                             "[x]",
                             "{x}",
                             "*a",
                             "&a",
                             "!t",
                             "|",
                             ">",
                             "%a",
                             "@a",
                             "`a",
                             "'q'",
                             "\"q\"",
                             "a'b",
                             "line\nbreak",
                             "tab\there",
                             "trail ",
                             " lead",
                             "\x01",
                             "\x7f",
                             "back\\slash",
                             "00:16:3e:8a:ee:16",
                             "ünï ☃",
                             "?",
                             "? x",
                             "a,b",
                             "=",
                             "<<",
                             R"([{"Isuid":true}])",
                             "#cloud-config\nusers:\n  - a\n"})
        map["k" + std::to_string(i++)] = text;
    map["a: key"] = "x";
    map["yes"] = "x";
    map["1"] = "x";
    const auto back = parse_yaml(encode_ordered_yaml(map));
    for (const auto& [key, value] : map.items())
        CHECK_MESSAGE(back.at(key) == nlohmann::json(value), key);
    CHECK(encode_ordered_yaml(Json{{"mac", "00:16:3e:8a:ee:16"}}) == "mac: 00:16:3e:8a:ee:16\n");
}
