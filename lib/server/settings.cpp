// SPDX-License-Identifier: Apache-2.0
#include "server/settings.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "config/config_keys.hpp"
#include "config/validators.hpp"
#include "db/config_repository.hpp"
#include "util/names.hpp"
#include "util/text.hpp"
#include "util/x509.hpp"

namespace lxdcore::server {

namespace {

constexpr std::string_view kPassword = "core.trust_password";

bool is_local(std::string_view key) {
    for (const auto* name : {"cluster.https_address", "core.bgp_address", "core.bgp_routerid", "core.debug_address",
                             "core.dns_address", "core.https_address", "core.metrics_address", "maas.machine",
                             "storage.backups_volume", "storage.images_volume"})
        if (key == name) return true;
    return false;
}

void need_support(const config::Key& key) {
    if (!key.supported) throw Error{ErrorCode::InvalidArgument, "not supported by this server yet"};
}

/// Checks one value and gives what to store: "" for the default, LXD's spelling of booleans.
std::string normalise(const std::string& name, const std::string& value) {
    const auto* key = config::find(config::server_keys(), name);
    if (key == nullptr) throw Error{ErrorCode::InvalidArgument, "unknown key"};
    if (names::has_control(name) || (!name.starts_with("user.") && names::has_control(value)))
        throw Error{ErrorCode::InvalidArgument, "control character"};
    if (value.empty()) return value;
    if (key->validate == config::check::boolean) {
        if (!text::is_true(value) && !text::is_false(value)) throw Error{ErrorCode::InvalidArgument, "invalid boolean"};
        if (text::is_true(value)) need_support(*key);
        const std::string plain = text::is_true(value) ? "true" : "false";
        return plain == key->default_value ? "" : plain;
    }
    const bool number = key->validate == config::check::int64 || key->validate == config::check::bgp_asn;
    if (number && !text::parse_int(value)) throw Error{ErrorCode::InvalidArgument, "invalid integer"};
    key->validate(value);
    need_support(*key);
    return value == key->default_value ? "" : value;
}

/// All values; what is wrong is reported as LXD does: the first, and how many more there are.
api::StringMap normalise_all(const api::StringMap& config) {
    api::StringMap values;
    std::string first;
    std::size_t errors = 0;
    for (const auto& [key, value] : config) {
        try {
            values[key] = normalise(key, value);
        } catch (const Error& error) {
            // A secret must not come back in an error.
            const auto shown = key == kPassword ? "" : value;
            if (errors++ == 0) first = fmt::format("cannot set '{}' to '{}': {}", key, shown, error.what());
        }
    }
    if (errors > 1) first += fmt::format(" (and {} more errors)", errors - 1);
    if (errors > 0) throw Error{ErrorCode::InvalidArgument, first};
    return values;
}

api::StringMap mask(api::StringMap values) {
    if (const auto it = values.find(std::string{kPassword}); it != values.end()) it->second = "true";
    return values;
}

} // namespace

Settings::Settings(db::Database& local, db::Database& global) : local_{local}, global_{global} { values_ = stored(); }

api::StringMap Settings::stored() const {
    auto values = global_.read_value([](db::Transaction& tx) { return db::ConfigRepository::all(tx); });
    values.merge(local_.read_value([](db::Transaction& tx) { return db::ConfigRepository::all(tx); }));
    // Other parts keep rows of their own in these tables; only keys that clients know are settings.
    std::erase_if(values, [](const auto& row) { return config::find(config::server_keys(), row.first) == nullptr; });
    return values;
}

api::StringMap Settings::visible() const {
    const std::lock_guard lock{mutex_};
    return mask(values_);
}

std::string Settings::get(const std::string& key) const {
    const std::lock_guard lock{mutex_};
    if (const auto it = values_.find(key); it != values_.end()) return it->second;
    const auto* known = config::find(config::server_keys(), key);
    return known == nullptr ? std::string{} : std::string{known->default_value};
}

std::string Settings::trust_password_hash() const { return get(std::string{kPassword}); }

std::string Settings::etag() const {
    nlohmann::json fields = nlohmann::json::object();
    for (const auto& [key, value] : visible()) {
        if (key == kPassword)
            fields[key] = true;
        else
            fields[key] = value;
    }
    return api::etag_of(fields);
}

void Settings::store(const api::StringMap& changes) {
    api::StringMap local;
    api::StringMap global;
    for (const auto& [key, value] : changes)
        (is_local(key) ? local : global)[key] = value;
    if (!local.empty()) local_.write([&](db::Transaction& tx) { db::ConfigRepository::set(tx, local); });
    if (!global.empty()) global_.write([&](db::Transaction& tx) { db::ConfigRepository::set(tx, global); });
    auto values = stored();
    const std::lock_guard lock{mutex_};
    values_ = std::move(values);
}

bool Settings::change(const api::StringMap& config, bool replace, const std::string& if_match) {
    const std::lock_guard changing{changing_};
    api::check_etag(etag(), if_match);
    auto wanted = normalise_all(config);
    api::StringMap before;
    {
        const std::lock_guard lock{mutex_};
        before = values_;
    }
    if (replace)
        for (const auto& [key, value] : before)
            wanted.try_emplace(key);
    api::StringMap changes;
    api::StringMap undo;
    for (auto& [key, value] : wanted) {
        const auto old = before.find(key);
        const auto current = old == before.end() ? std::string{} : old->second;
        if (key == kPassword && !value.empty()) {
            if (value == "true" && !current.empty()) continue; // what clients were shown, sent back
            value = x509::hash_password(value);
        }
        if (value == current) continue;
        changes[key] = value;
        undo[key] = current;
    }
    if (changes.empty()) return false;
    store(changes);
    std::size_t told = 0;
    try {
        for (; told < listeners_.size(); ++told)
            listeners_[told](mask(changes));
    } catch (...) {
        store(undo);
        while (told-- > 0) { // who has followed already goes back, as far as that goes
            try {
                listeners_[told](mask(undo));
            } catch (const std::exception&) {
            }
        }
        throw;
    }
    return true;
}

void Settings::on_change(std::function<void(const api::StringMap&)> listener) {
    const std::lock_guard changing{changing_};
    listeners_.push_back(std::move(listener));
}

} // namespace lxdcore::server
