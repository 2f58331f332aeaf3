// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/api/instance.hpp>
#include <lxdcore/api/json_text.hpp>
#include <lxdcore/api/resources.hpp>
#include <lxdcore/error.hpp>

#include "test_data_path.hpp"

using namespace lxdcore;
using nlohmann::json;

namespace {

json recorded(const std::string& name) {
    std::ifstream file{std::string{LXDCORE_TEST_DATA} + "/api/" + name + ".json"};
    REQUIRE(file.good());
    std::stringstream text;
    text << file.rdbuf();
    return api::parse_json(text.str());
}
template <typename T>
void round_trip(const std::string& name) {
    CAPTURE(name);
    const auto reply = recorded(name);
    CHECK(json(reply.get<T>()) == reply);
}
/// Gives every field of an encoded T each kind of wrong value; nothing but an Error may come of it.
template <typename T>
void refuses_wrong_types() {
    const json good = T{};
    for (const auto& wrong :
         {json(1.5), json(-1), json("text"), json(true), json::array({1}), json::array({json::object()}),
          json{{"k", 1}}, json{{"k", json::array()}}, json(18446744073709551615ULL)}) {
        T target;
        if (!wrong.is_object()) CHECK_THROWS_AS(api::from_json(wrong, target), Error);
        for (const auto& [key, value] : good.items()) {
            json body = good;
            body[key] = wrong;
            try {
                api::from_json(body, target);
            } catch (const Error& error) {
                CHECK(error.code() == ErrorCode::InvalidArgument);
                CHECK(std::string{error.what()}.find(key) != std::string::npos);
            }
            body[key] = nullptr;
            CHECK_NOTHROW(api::from_json(body, target));
        }
    }
}

} // namespace

TEST_CASE("recorded replies of LXD survive decoding and encoding") {
    round_trip<api::Instance>("instance");
    round_trip<api::InstanceState>("instance-state");
    round_trip<api::InstanceFull>("instance-full");
    round_trip<api::Image>("image");
    round_trip<api::ImageAlias>("image-alias");
    round_trip<api::Network>("network");
    round_trip<api::Network>("network-unmanaged");
    round_trip<api::NetworkState>("network-state");
    round_trip<api::NetworkLease>("network-lease");
    round_trip<api::StoragePool>("storage-pool");
    round_trip<api::StoragePoolResources>("storage-pool-resources");
    round_trip<api::StorageVolume>("storage-volume");
    round_trip<api::Profile>("profile");
    round_trip<api::Project>("project");
}

TEST_CASE("an instance as text is what its JSON tree would give") {
    const auto text_of = [](const api::Instance& instance) {
        std::string text{"before,"};
        api::append_json(text, instance);
        CHECK(text.starts_with("before,{"));
        return api::parse_json(text.substr(7));
    };
    CHECK(text_of(recorded("instance").get<api::Instance>()) == recorded("instance"));
    CHECK(text_of({}) == json(api::Instance{}));
    api::Instance odd;
    odd.name = "quote\" back\\ <&> \u2028 \xff line\n";
    odd.config = {{"user.\"x\"", "\x01"}, {"empty", ""}};
    odd.devices = {{"none", {}}, {"root", {{"path", "/"}, {"type", "disk"}}}};
    odd.profiles = {"a", "b,", ""};
    odd.ephemeral = true;
    odd.status_code = api::Status::Frozen;
    odd.created_at = api::Time::from_unix(-5);
    CHECK(text_of(odd) == json::parse(api::encode_json(odd)));
}

TEST_CASE("R52: wrong types in any field are errors that name it") {
    refuses_wrong_types<api::InstancePut>();
    refuses_wrong_types<api::InstancesPost>();
    refuses_wrong_types<api::InstanceSource>();
    refuses_wrong_types<api::InstancePost>();
    refuses_wrong_types<api::Instance>();
    refuses_wrong_types<api::InstanceStatePut>();
    refuses_wrong_types<api::InstanceState>();
    refuses_wrong_types<api::InstanceExecPost>();
    refuses_wrong_types<api::InstanceConsolePost>();
    refuses_wrong_types<api::ProfilesPost>();
    refuses_wrong_types<api::Image>();
    refuses_wrong_types<api::ImageAlias>();
    refuses_wrong_types<api::NetworksPost>();
    refuses_wrong_types<api::StoragePoolsPost>();
    refuses_wrong_types<api::CertificatesPost>();
    refuses_wrong_types<api::ServerPut>();
    refuses_wrong_types<api::RenamePost>();
}

TEST_CASE("the text of an error leads to the place") {
    api::ProfilesPost post;
    CHECK_THROWS_WITH_AS(api::from_json(json{{"config", {{"user.a", 2}}}}, post),
                         "config: user.a: expected a string, found a number", Error);
    CHECK_THROWS_WITH_AS(api::from_json(json{{"devices", {{"eth0", json::array()}}}}, post),
                         "devices: eth0: expected an object, found a list", Error);
    CHECK_THROWS_WITH_AS(api::from_json(json::array(), post), "expected an object, found a list", Error);
}

TEST_CASE("keys are matched without regard to case, the exact spelling wins, unknown ones are ignored") {
    CHECK(json::parse(R"({"NAME":"a","zzz":[1]})").get<api::ProfilesPost>().name == "a");
    CHECK(json::parse(R"({"NAME":"a","name":"b"})").get<api::ProfilesPost>().name == "b");
}

TEST_CASE("null is unset, inside a map it is empty") {
    const auto post = json::parse(R"({"name":null,"config":{"user.a":null},"devices":null})").get<api::ProfilesPost>();
    CHECK(post.name.empty());
    CHECK(post.config == api::StringMap{{"user.a", ""}});
}

TEST_CASE("an instance without profiles differs from one with an empty list") {
    CHECK(!json::parse(R"({"name":"c"})").get<api::InstancesPost>().requested_profiles);
    CHECK(!json::parse(R"({"profiles":null})").get<api::InstancesPost>().requested_profiles);
    const auto none = json::parse(R"({"profiles":[]})").get<api::InstancesPost>();
    REQUIRE(none.requested_profiles);
    CHECK(none.requested_profiles->empty());
}

TEST_CASE("a patch knows what was absent") {
    const auto patch = json::parse(R"({"description":""})").get<api::ProfilePatch>();
    CHECK(patch.description == "");
    CHECK(!patch.config);
    CHECK(json(patch) == json{{"description", ""}});
}

TEST_CASE("server values may be booleans and numbers") {
    const auto put = json::parse(R"({"config":{"a":true,"b":5,"c":"x","d":null}})").get<api::ServerPut>();
    CHECK(put.config == api::StringMap{{"a", "true"}, {"b", "5"}, {"c", "x"}, {"d", ""}});
}

TEST_CASE("times are printed as Go prints them") {
    CHECK(api::Time{}.str() == "0001-01-01T00:00:00Z");
    CHECK(api::Time::from_unix(0).str() == "1970-01-01T00:00:00Z");
    for (const auto* text :
         {"2026-11-23T19:21:30.975880494Z", "2026-11-23T19:21:30.5Z", "1999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"})
        CHECK(api::Time::parse(text).str() == text);
    CHECK(api::Time::parse("2024-02-29T12:00:00+02:30").str() == "2024-02-29T09:30:00Z");
    CHECK(api::Time::parse("2024-01-01T00:00:00.1234567891234Z").str() == "2024-01-01T00:00:00.123456789Z");
    CHECK(api::Time::parse("1970-01-02T00:00:00Z").unix_seconds() == 86400);
}

TEST_CASE("what is not a time is refused") {
    for (const auto* text : {"", "2024", "2024-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z",
                             "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "9999-01-01T00:00:00Z",
                             "2024-01-01T00:00:00Zx", "2024-01-01T00:00:00+25:00", "-024-01-01T00:00:00Z"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(api::Time::parse(text), Error);
    }
    CHECK_THROWS_AS(api::Time::from_unix(INT64_MAX), Error);
}
