// SPDX-License-Identifier: Apache-2.0
#include "server/warnings.hpp"

#include <array>

#include <nlohmann/json.hpp>

#include "db/warning_list.hpp"
#include "util/text.hpp"

namespace lxdcore::server {

namespace {

constexpr std::array<const char*, 4> kStatuses{"", "new", "acknowledged", "resolved"};

/// By LXD's number.
constexpr std::array<const char*, 25> kTypes{
    "Undefined warning",
    "Couldn't find the CGroup blkio",
    "Couldn't find the CGroup blkio.weight",
    "Couldn't find the CGroup CPU controller",
    "Couldn't find the CGroup CPUset controller",
    "Couldn't find the CGroup CPUacct controller",
    "Couldn't find the CGroup devices controller",
    "Couldn't find the CGroup freezer controller",
    "Couldn't find the CGroup hugetlb controller",
    "Couldn't find the CGroup memory controller",
    "Couldn't find the CGroup network priority controller",
    "Couldn't find the CGroup pids controller",
    "Couldn't find the CGroup memory swap accounting",
    "Time skew detected between leader and local",
    "AppArmor support has been disabled",
    "Missing virtiofsd",
    "Unable to connect to MAAS",
    "Skipping AppArmor for dnsmasq due to raw.dnsmasq being set",
    "IPv6 networks with a prefix larger than 64 aren't properly supported by dnsmasq",
    "Proxy bridge netfilter not enabled",
    "Network unavailable",
    "Offline cluster member",
    "Failed to autostart instance",
    "Instance type not operational",
    "Storage pool unavailable",
};
constexpr std::size_t kNetworkUnavailable = 20, kPoolUnavailable = 24;

template <std::size_t N>
std::size_t index_in(const std::array<const char*, N>&, int number) {
    return number > 0 && static_cast<std::size_t>(number) < N ? static_cast<std::size_t>(number) : 0;
}

api::Time time_of(const std::string& text) {
    try {
        return api::Time::parse(text);
    } catch (const Error&) { // written by hand
        return api::Time::from_unix(0);
    }
}

api::Warning warning_of(const db::WarningRow& row) {
    const auto type = index_in(kTypes, row.type);
    return {.status = kStatuses[index_in(kStatuses, row.status)],
            .uuid = row.uuid,
            .project = row.project,
            .type = kTypes[type],
            .count = row.count,
            .first_seen_at = time_of(row.first_seen),
            .last_seen_at = time_of(row.last_seen),
            .last_message = row.last_message,
            .severity = type == kNetworkUnavailable || type == kPoolUnavailable ? "high" : "low",
            .entity_url = row.entity_url};
}

class Warnings final : public WarningService {
public:
    Warnings(db::Database& global, EventService& events) : global_{global}, events_{events} {}

    std::vector<api::Warning> list(const std::string& project) const override {
        std::vector<api::Warning> out;
        for (const auto& row : global_.read_value([&](db::Transaction& tx) { return list_.all(tx, project); }))
            out.push_back(warning_of(row));
        return out;
    }

    api::Warning get(const std::string& uuid) const override {
        const auto row = global_.read_value([&](db::Transaction& tx) { return list_.find(tx, uuid); });
        if (!row) not_found();
        return warning_of(*row);
    }

    void set_status(const std::string& uuid, const std::string& status) override {
        int number = 0;
        for (std::size_t i = 1; i < kStatuses.size(); ++i)
            if (status == kStatuses[i]) number = static_cast<int>(i);
        if (number == 0) throw Error{ErrorCode::InvalidArgument, "Invalid warning type " + text::quote(status)};
        if (status == "resolved")
            throw Error{ErrorCode::Forbidden, "Status may only be set to \"acknowledge\" or \"new\""};
        bool found = false;
        global_.write([&](db::Transaction& tx) { found = list_.set_status(tx, uuid, number); });
        if (!found) not_found();
        tell(status == "new" ? "reset" : "acknowledged", uuid);
    }

    void remove(const std::string& uuid) override {
        bool found = false;
        global_.write([&](db::Transaction& tx) { found = list_.remove(tx, uuid); });
        if (!found) not_found();
        tell("deleted", uuid);
    }

private:
    [[noreturn]] static void not_found() { throw Error{ErrorCode::NotFound, "Warning not found"}; }
    void tell(const std::string& what, const std::string& uuid) const {
        events_.lifecycle("default", "warning-" + what, "/1.0/warnings/" + uuid);
    }

    db::Database& global_;
    EventService& events_;
    db::WarningList list_;
};

} // namespace

std::unique_ptr<WarningService> make_warning_service(db::Database& global, EventService& events) {
    return std::make_unique<Warnings>(global, events);
}

} // namespace lxdcore::server

namespace lxdcore {

WarningService::~WarningService() = default;

namespace api {

void to_json(nlohmann::json& json, const Warning& value) {
    json = {{"status", value.status},
            {"uuid", value.uuid},
            {"location", "none"},
            {"project", value.project},
            {"type", value.type},
            {"count", value.count},
            {"first_seen_at", value.first_seen_at},
            {"last_seen_at", value.last_seen_at},
            {"last_message", value.last_message},
            {"severity", value.severity},
            {"entity_url", value.entity_url}};
}

} // namespace api

} // namespace lxdcore
