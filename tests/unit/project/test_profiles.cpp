// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <functional>

#include <nlohmann/json.hpp>

#include "event/event_hub.hpp"
#include "project/profile_manager.hpp"

using namespace lxdcore;

namespace {

struct Fixture {
    std::unique_ptr<db::Database> global = db::Database::open(":memory:", db::global_migrations());
    std::unique_ptr<EventService> events = make_event_service();
    std::vector<nlohmann::json> seen;
    std::unique_ptr<EventSubscription> subscription = events->subscribe(
        {}, [this](const Event& event) { seen.push_back(nlohmann::json::parse(*event.json)["metadata"]); });
    std::unique_ptr<project::ProfileManager> profiles = project::make_profile_manager(*global, *events);

    void add_network(const std::string& name) {
        global->write([&](db::Transaction& tx) {
            tx.insert("INSERT INTO networks (project_id, name, description, state, type) VALUES (1, :name, '', 1, 0)",
                      {{":name", name}});
        });
    }
    void use(const std::string& profile) {
        global->write([&](db::Transaction& tx) {
            const auto id =
                tx.insert("INSERT INTO instances (node_id, name, architecture, type, description, project_id) "
                          "VALUES (1, 'c 1', 2, 0, '', 1)");
            tx.insert("INSERT INTO instances_profiles (instance_id, profile_id) SELECT :id, id FROM profiles "
                      "WHERE name = :name",
                      {{":id", id}, {":name", profile}});
        });
    }
};

std::pair<ErrorCode, std::string> failure(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    return {ErrorCode::Internal, "accepted"};
}
using Failure = std::pair<ErrorCode, std::string>;

api::ProfilesPost named(const std::string& name) {
    api::ProfilesPost post;
    post.name = name;
    return post;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "a new database has the default profile") {
    CHECK(profiles->names("default") == std::vector<std::string>{"default"});
    CHECK(profiles->get("default", "default").description == "Default LXD profile");
}

TEST_CASE_FIXTURE(Fixture, "what was created is read back without empty values") {
    add_network("n");
    auto post = named("p1");
    post.description = "d";
    post.config = {{"user.a", "1"}, {"user.b", ""}};
    post.devices = {{"eth0", {{"type", "nic"}, {"network", "n"}, {"name", ""}}}};
    profiles->create("default", post);
    const auto profile = profiles->get("default", "p1");
    CHECK(profile.config == api::StringMap{{"user.a", "1"}});
    CHECK(profile.devices == api::Devices{{"eth0", {{"type", "nic"}, {"network", "n"}}}});
    CHECK(profile.used_by.empty());
    REQUIRE(seen.size() == 1);
    CHECK(seen[0]["action"] == "profile-created");
    CHECK(seen[0]["source"] == "/1.0/profiles/p1");
}

TEST_CASE_FIXTURE(Fixture, "a NIC names a network that is there") {
    auto post = named("p1");
    post.devices = {{"eth0", {{"type", "nic"}, {"network", "n"}}}};
    const auto text = "Device validation failed for \"eth0\": Failed loading device \"eth0\": Failed to load network "
                      "\"n\" for project \"default\": Network not found";
    CHECK(failure([&] { profiles->create("default", post); }) == Failure{ErrorCode::InvalidArgument, text});
    CHECK(profiles->names("default") == std::vector<std::string>{"default"});
}

TEST_CASE_FIXTURE(Fixture, "names and duplicates are refused as LXD does") {
    CHECK(failure([&] { profiles->create("default", named("")); }) ==
          Failure{ErrorCode::InvalidArgument, "No name provided"});
    CHECK(failure([&] { profiles->create("default", named("a/b")); }) ==
          Failure{ErrorCode::InvalidArgument, "Profile names may not contain slashes"});
    CHECK(failure([&] { profiles->create("default", named("..")); }) ==
          Failure{ErrorCode::InvalidArgument, "Invalid profile name \"..\""});
    CHECK(failure([&] { profiles->create("default", named("default")); }) ==
          Failure{ErrorCode::Internal, "Error inserting \"default\" into database: The profile already exists"});
    for (const auto* bad : {"a\nb", "a\x7f"}) // R8
        CHECK(failure([&] { profiles->create("default", named(bad)); }).first == ErrorCode::InvalidArgument);
    CHECK(failure([&] {
              profiles->create("default", named(std::string{"a\0b", 3}));
          }).first == ErrorCode::InvalidArgument);
    CHECK(seen.empty());
}

TEST_CASE_FIXTURE(Fixture, "unknown profiles are not found") {
    CHECK(failure([&] { profiles->get("default", "x"); }) == Failure{ErrorCode::NotFound, "Profile not found"});
    CHECK(failure([&] { profiles->update("default", "x", {}, ""); }) ==
          Failure{ErrorCode::NotFound, "Failed to retrieve profile \"x\": Profile not found"});
    CHECK(failure([&] { profiles->remove("default", "x"); }).first == ErrorCode::NotFound);
    CHECK(failure([&] { profiles->rename("default", "x", "y"); }).first == ErrorCode::NotFound);
    CHECK(failure([&] { profiles->get("other", "default"); }).first == ErrorCode::NotFound);
}

TEST_CASE_FIXTURE(Fixture, "bad values are 400 on create, 500 on change, control characters always 400") {
    auto post = named("p");
    post.config = {{"nope", "1"}};
    CHECK(failure([&] { profiles->create("default", post); }) ==
          Failure{ErrorCode::InvalidArgument, "Unknown configuration key: nope"});
    CHECK(failure([&] {
              profiles->update("default", "default", {{{"nope", "1"}}, "", {}}, "");
          }) == Failure{ErrorCode::Internal, "Unknown configuration key: nope"});
    CHECK(failure([&] {
              profiles->update("default", "default", {{{"environment.A", "x\ny"}}, "", {}}, "");
          }).first == ErrorCode::InvalidArgument);
    CHECK(failure([&] {
              profiles->update("default", "default", {{}, "", {{"d", {{"type", "none"}, {"user.x", "\n"}}}}}, "");
          }).first == ErrorCode::InvalidArgument);
}

TEST_CASE_FIXTURE(Fixture, "put replaces, patch merges and an empty value unsets") {
    profiles->create("default", named("p"));
    profiles->update("default", "p", {{{"user.a", "1"}, {"user.b", "2"}}, "first", {{"d", {{"type", "none"}}}}}, "");
    profiles->patch("default", "p", {.config = api::StringMap{{"user.a", ""}, {"user.c", "3"}}}, "");
    auto profile = profiles->get("default", "p");
    CHECK(profile.config == api::StringMap{{"user.b", "2"}, {"user.c", "3"}});
    CHECK(profile.description == "first");
    CHECK(profile.devices.size() == 1);
    profiles->update("default", "p", {}, "");
    profile = profiles->get("default", "p");
    CHECK(profile.config.empty());
    CHECK(profile.devices.empty());
    CHECK(profile.description.empty());
}

TEST_CASE_FIXTURE(Fixture, "the ETag is checked and is LXD's") {
    const auto etag = ProfileService::etag(profiles->get("default", "default"));
    CHECK(failure([&] { profiles->update("default", "default", {}, "abc"); }) ==
          Failure{ErrorCode::StaleEtag, "ETag doesn't match: " + etag + " vs abc"});
    CHECK_NOTHROW(profiles->update("default", "default", {{}, "new", {}}, etag));
    CHECK(failure([&] { profiles->patch("default", "default", {}, etag); }).first == ErrorCode::StaleEtag);
}

TEST_CASE_FIXTURE(Fixture, "a profile in use is listed so, cannot go, and its listener is asked first") {
    profiles->create("default", named("p"));
    use("p");
    CHECK(profiles->get("default", "p").used_by == std::vector<std::string>{"/1.0/instances/c%201"});
    CHECK(failure([&] { profiles->remove("default", "p"); }) ==
          Failure{ErrorCode::Internal, "Profile is currently in use"});
    std::vector<std::string> calls;
    profiles->set_listener({[&](const auto&, const auto& name, const auto& next) {
                                calls.push_back("check " + name);
                                if (next.description == "bad") throw Error{ErrorCode::BadState, "no"};
                            },
                            [&](const auto&, const auto& name, const auto& before) {
                                calls.push_back("changed " + name + before.description);
                            }});
    profiles->update("default", "p", {{}, "good", {}}, "");
    CHECK(calls == std::vector<std::string>{"check p", "changed p"});
    CHECK(failure([&] { profiles->update("default", "p", {{}, "bad", {}}, ""); }).second == "no");
    CHECK(profiles->get("default", "p").description == "good");
}

TEST_CASE_FIXTURE(Fixture, "rename keeps the content, default is fixed") {
    auto post = named("p");
    post.config = {{"user.a", "1"}};
    profiles->create("default", post);
    profiles->rename("default", "p", "q");
    CHECK(profiles->get("default", "q").config.at("user.a") == "1");
    CHECK(seen.back()["action"] == "profile-renamed");
    CHECK(seen.back()["context"]["old_name"] == "p");
    CHECK(failure([&] { profiles->rename("default", "q", "default"); }) ==
          Failure{ErrorCode::Internal, "Name \"default\" already in use"});
    CHECK(failure([&] { profiles->rename("default", "default", "z"); }) ==
          Failure{ErrorCode::Forbidden, "The \"default\" profile cannot be renamed"});
    CHECK(failure([&] { profiles->remove("default", "default"); }) ==
          Failure{ErrorCode::Forbidden, "The \"default\" profile cannot be deleted"});
    profiles->remove("default", "q");
    CHECK(profiles->names("default").size() == 1);
}
