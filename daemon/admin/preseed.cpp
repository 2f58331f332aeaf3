// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <functional>
#include <iostream>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "admin/commands.hpp"
#include "http/url.hpp"

namespace lxdcore::daemon {

namespace {

using nlohmann::json;

/// Steps that take back what was done, run backwards unless everything went well.
class Undo {
public:
    ~Undo() {
        for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
            try {
                (*step)();
            } catch (const std::exception& error) {
                std::cerr << "Failed to undo: " << error.what() << "\n";
            }
        }
    }
    void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
    void commit() { steps_.clear(); }

private:
    std::vector<std::function<void()>> steps_;
};

const json& list_of(const json& preseed, const char* key) {
    static const json kEmpty = json::array();
    if (!preseed.contains(key) || preseed[key].is_null()) return kEmpty;
    if (!preseed[key].is_array()) throw Error{ErrorCode::InvalidArgument, std::string{key} + ": expected a list"};
    return preseed[key];
}

std::string name_of(const json& entity, const char* kind) {
    if (!entity.is_object() || !entity.contains("name") || !entity["name"].is_string())
        throw Error{ErrorCode::InvalidArgument, std::string{kind} + ": name is missing"};
    return entity["name"].get<std::string>();
}

json text_map(const json& entity, const char* key) {
    if (!entity.contains(key) || entity[key].is_null()) return json::object();
    return api::to_string_map(entity[key]);
}

json devices_of(const json& entity) {
    auto devices = json::object();
    if (!entity.contains("devices") || entity["devices"].is_null()) return devices;
    for (const auto& [name, device] : entity["devices"].items())
        devices[name] = api::to_string_map(device);
    return devices;
}

class Preseed {
public:
    explicit Preseed(const ApiClient& client) : client_{client} {}

    void apply(const json& preseed) {
        check(preseed);
        apply_config(preseed);
        for (const auto& network : list_of(preseed, "networks"))
            apply_network(network);
        for (const auto& pool : list_of(preseed, "storage_pools"))
            apply_pool(pool);
        for (const auto& profile : list_of(preseed, "profiles"))
            apply_profile(profile);
        undo_.commit();
    }

private:
    /// Before anything is changed: what a later part could not do must not be found out in the middle.
    void check(const json& preseed) const {
        if (preseed.is_null()) return;
        if (!preseed.is_object()) throw Error{ErrorCode::InvalidArgument, "Failed to parse the preseed: not a map"};
        for (const auto& [key, value] : preseed.items()) {
            const auto known = {"config", "networks", "storage_pools", "profiles", "projects", "cluster"};
            if (std::find(known.begin(), known.end(), key) == known.end())
                throw Error{ErrorCode::InvalidArgument,
                            fmt::format("Failed to parse the preseed: field {} not found", key)};
        }
        if (const auto it = preseed.find("cluster");
            it != preseed.end() && it->is_object() && api::to_string_map(*it)["enabled"] == "true")
            throw Error{ErrorCode::Unsupported, "Failed to configure cluster: clustering is not supported"};
        for (const auto& project : list_of(preseed, "projects"))
            check_project(project);
    }

    /// A dump names the projects that exist; more or other ones cannot be had.
    void check_project(const json& project) const {
        const auto name = name_of(project, "projects");
        json old;
        try {
            old = client_.request("GET", "/1.0/projects/" + percent_encode(name));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::NotFound) throw;
            throw Error{ErrorCode::Unsupported,
                        fmt::format("Failed to create project \"{}\": projects are not supported", name)};
        }
        const auto config = text_map(project, "config");
        for (const auto& [key, value] : config.items())
            if (old["config"].value(key, "") != value)
                throw Error{ErrorCode::Unsupported,
                            fmt::format("Failed to update project \"{}\": projects are not supported", name)};
    }

    void apply_config(const json& preseed) {
        const auto wanted = text_map(preseed, "config");
        if (wanted.empty()) return;
        const auto old = client_.request("GET", "/1.0")["config"];
        auto merged = old;
        merged.update(wanted);
        try {
            client_.request("PUT", "/1.0", {{"config", merged}});
        } catch (Error& error) {
            error.add_context("Failed to update server configuration");
            throw;
        }
        undo_.add([client = client_, old] { client.request("PUT", "/1.0", {{"config", old}}); });
    }

    /// Makes the entity, or merges @p change into the one that exists; its @p fixed field must be the same then.
    void make_or_change(const std::string& collection, const std::string& kind, const char* fixed, const json& post,
                        const json& change) {
        const auto name = post.value("name", "");
        const auto url = collection + "/" + percent_encode(name);
        json old;
        try {
            old = client_.request("GET", url);
        } catch (Error& error) {
            if (error.code() != ErrorCode::NotFound) throw;
            create(collection, fmt::format("{} \"{}\"", kind, name), url, post);
            return;
        }
        if (const auto type = post.value(fixed, ""); !type.empty() && type != old.value(fixed, ""))
            throw Error{ErrorCode::InvalidArgument, fmt::format("{}{} \"{}\" is of type \"{}\" instead of \"{}\"",
                                                                static_cast<char>(std::toupper(kind[0])),
                                                                kind.substr(1), name, old.value(fixed, ""), type)};
        json merged = {{"config", old.value("config", json::object())}, {"description", old.value("description", "")}};
        if (old.contains("devices")) merged["devices"] = old["devices"];
        const auto before = merged;
        merged["config"].update(change["config"]);
        if (change.contains("description")) merged["description"] = change["description"];
        if (change.contains("devices")) merged["devices"].update(change["devices"]);
        try {
            client_.request("PUT", url, merged);
        } catch (Error& error) {
            error.add_context(fmt::format("Failed to update {} \"{}\"", kind, name));
            throw;
        }
        undo_.add([client = client_, url, before] { client.request("PUT", url, before); });
    }

    void create(const std::string& collection, const std::string& what, const std::string& url, const json& post) {
        try {
            client_.request("POST", collection, post);
        } catch (Error& error) {
            error.add_context("Failed to create " + what);
            throw;
        }
        undo_.add([client = client_, url] { client.request("DELETE", url); });
    }

    static json change_of(const json& entity) {
        json change = {{"config", text_map(entity, "config")}};
        if (entity.contains("description") && entity["description"].is_string())
            change["description"] = entity["description"];
        return change;
    }

    void apply_network(const json& network) {
        const auto name = name_of(network, "networks");
        const auto change = change_of(network);
        auto post = change;
        post["name"] = name;
        post["type"] = network.value("type", "");
        make_or_change("/1.0/networks", "network", "type", post, change);
    }

    void apply_pool(const json& pool) {
        const auto name = name_of(pool, "storage_pools");
        const auto change = change_of(pool);
        auto post = change;
        post["name"] = name;
        post["driver"] = pool.value("driver", "");
        make_or_change("/1.0/storage-pools", "storage pool", "driver", post, change);
    }

    void apply_profile(const json& profile) {
        const auto name = name_of(profile, "profiles");
        auto change = change_of(profile);
        change["devices"] = devices_of(profile);
        auto post = change;
        post["name"] = name;
        make_or_change("/1.0/profiles", "profile", "", post, change);
    }

    const ApiClient& client_;
    Undo undo_;
};

} // namespace

void apply_preseed(const ApiClient& client, const json& preseed) { Preseed{client}.apply(preseed); }

void init_preseed(const ApiClient& client) {
    const std::string text{std::istreambuf_iterator<char>{std::cin}, {}};
    json preseed;
    try {
        preseed = api::parse_yaml(text);
    } catch (Error& error) {
        error.add_context("Failed to parse the preseed");
        throw;
    }
    apply_preseed(client, preseed);
}

void init_dump(const ApiClient& client) {
    json dump = {{"config", client.request("GET", "/1.0")["config"]}};
    const auto pick = [](const json& entity, std::initializer_list<const char*> keys) {
        auto picked = json::object();
        for (const auto* key : keys)
            picked[key] = entity.value(key, json{});
        return picked;
    };
    dump["networks"] = json::array();
    for (const auto& network : client.request("GET", "/1.0/networks?recursion=1")) {
        if (!network.value("managed", false)) continue;
        auto picked = pick(network, {"config", "description", "name", "type"});
        picked["project"] = "default";
        dump["networks"].push_back(std::move(picked));
    }
    dump["storage_pools"] = json::array();
    for (const auto& pool : client.request("GET", "/1.0/storage-pools?recursion=1"))
        dump["storage_pools"].push_back(pick(pool, {"config", "description", "name", "driver"}));
    dump["profiles"] = json::array();
    for (const auto& profile : client.request("GET", "/1.0/profiles?recursion=1"))
        dump["profiles"].push_back(pick(profile, {"config", "description", "devices", "name"}));
    dump["projects"] = json::array();
    for (const auto& project : client.request("GET", "/1.0/projects?recursion=1"))
        dump["projects"].push_back(pick(project, {"config", "description", "name"}));
    std::cout << api::encode_yaml(dump) << "\n";
}

} // namespace lxdcore::daemon
