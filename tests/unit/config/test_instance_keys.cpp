// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <lxdcore/error.hpp>
#include <nlohmann/json.hpp>

#include "config/config_keys.hpp"
#include "support/temp_dir.hpp"
#include "test_data_path.hpp"
#include "util/text.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

struct Fact {
    std::string key, type, default_value, condition, live;
    bool operator==(const Fact&) const = default;
};

/// tests/data/config/instance-keys.txt: what LXD 5.0.2 documents and accepts.
std::vector<Fact> facts() {
    std::vector<Fact> out;
    for (const auto& line :
         text::split(test::read_file(fs::path{LXDCORE_TEST_DATA} / "config/instance-keys.txt"), '\n')) {
        if (line.empty() || line.starts_with('#')) continue;
        std::vector<std::string> fields;
        for (std::size_t at = 0; at != std::string::npos;) {
            const auto end = line.find(" | ", at);
            fields.push_back(line.substr(at, end == std::string::npos ? end : end - at));
            at = end == std::string::npos ? end : end + 3;
        }
        REQUIRE(fields.size() == 5);
        out.push_back({fields[0], fields[1], fields[2], fields[3], fields[4]});
    }
    return out;
}

/// A name that the pattern stands for.
std::string sample(std::string key) {
    for (const std::string hole : {"<name>", "*"})
        if (const auto at = key.find(hole); at != std::string::npos) key.replace(at, hole.size(), "x");
    return key;
}

bool for_containers(const Fact& fact) { return fact.condition != "virtual machine"; }

/// Data that the server keeps for others and applies nowhere itself.
bool is_record(const std::string& key) {
    static const std::set<std::string> records{
        "cluster.evacuate", // read by clusters only, as in LXD
    };
    for (const char* prefix : {"user.", "image.", "volatile.", "cloud-init."}) // cloud-init: by the image's templates
        if (key.starts_with(prefix)) return true;
    return records.contains(key);
}

/// All sources that could apply a key: everything but the tables.
std::string sources() {
    std::string out;
    const auto lib = fs::path{LXDCORE_TEST_DATA}.parent_path().parent_path() / "lib";
    for (const auto& entry : fs::recursive_directory_iterator{lib}) {
        const auto path = entry.path().string();
        if (entry.is_regular_file() && path.ends_with("pp") && path.find("/config/") == std::string::npos)
            out += test::read_file(entry.path());
    }
    return out;
}

std::string refusal(const std::string& key, const std::string& value) {
    try {
        config::validate_instance({{key, value}}, false);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::InvalidArgument);
        return error.what();
    }
    return {};
}

std::string good_value(const Fact& fact) {
    static const std::map<std::string, std::string> special{{"snapshots.expiry", "1d"},
                                                            {"snapshots.schedule", "@daily"}};
    if (const auto it = special.find(fact.key); it != special.end()) return it->second;
    if (fact.type == "bool") return "true";
    return fact.type == "integer" ? "1" : "x";
}

} // namespace

TEST_CASE("every container key of LXD is in the table, with its default and whether it is live") {
    for (const auto& fact : facts()) {
        CAPTURE(fact.key);
        const auto* key = config::find(config::instance_keys(), sample(fact.key));
        REQUIRE((key != nullptr));
        if (!for_containers(fact)) continue;
        auto expected = fact.default_value.substr(0, fact.default_value.find(" ("));
        // Prose of the documentation: no value of the key itself
        if (expected == "-" || expected.find(' ') != std::string::npos || expected.starts_with('#')) expected.clear();
        CHECK(key->default_value == expected);
        CHECK(key->live == fact.live.starts_with("yes"));
    }
}

TEST_CASE("every container key is applied, refused with a clear text, or a record by nature") {
    const auto all = sources();
    std::size_t refused = 0;
    for (const auto& fact : facts()) {
        if (!for_containers(fact)) continue;
        CAPTURE(fact.key);
        const auto* key = config::find(config::instance_keys(), sample(fact.key));
        REQUIRE((key != nullptr));
        if (!key->supported) {
            ++refused;
            CHECK(refusal(sample(fact.key), good_value(fact)) ==
                  "The configuration key " + text::quote(sample(fact.key)) + " is not supported by this server yet");
            CHECK(refusal(sample(fact.key), "").empty());
        } else if (!is_record(fact.key)) {
            CHECK(all.find('"' + std::string{key->name.substr(0, key->name.find('*'))}) != std::string::npos);
        }
    }
    MESSAGE("refused: ", refused);
}

TEST_CASE("the table has no key that LXD does not know") {
    const auto known = facts();
    for (const auto& key : config::instance_keys()) {
        CAPTURE(key.name);
        CHECK(std::any_of(known.begin(), known.end(), [&](const Fact& fact) {
            return fact.key == key.name || config::find(config::instance_keys(), sample(fact.key)) == &key;
        }));
    }
}

TEST_CASE("types are held: words are no booleans and no numbers") {
    for (const auto& fact : facts()) {
        if (!for_containers(fact) || fact.key.starts_with("volatile.")) continue;
        CAPTURE(fact.key);
        if (fact.type == "bool") CHECK(refusal(sample(fact.key), "maybe") == "Invalid value for a boolean \"maybe\"");
        if (fact.type == "integer") CHECK(refusal(sample(fact.key), "few").starts_with("Invalid value for "));
    }
}

TEST_CASE("the facts are those of the specification, where it is at hand") {
    const auto root = fs::path{LXDCORE_TEST_DATA}.parent_path().parent_path();
    const auto file = root.parent_path() / "shared/api/config-options.json";
    if (!fs::exists(file)) return;
    std::map<std::string, Fact> expected, actual;
    const auto document = nlohmann::json::parse(test::read_file(file));
    for (const auto& option : document.at("options"))
        if (option.at("entity") == "instance")
            expected[option.at("key")] = {option.at("key"), option.at("type"), option.at("default"),
                                          option.at("condition"), option.at("live")};
    for (auto& fact : facts())
        actual[fact.key] = fact;
    CHECK(actual.size() == expected.size());
    for (const auto& [key, fact] : expected) {
        CAPTURE(key);
        CHECK((actual[key] == fact));
    }
}
