// SPDX-License-Identifier: Apache-2.0
#include "instance/manager.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "config/config_keys.hpp"
#include "instance/architecture.hpp"
#include "storage/server_folders.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kUsualStateDir = "/var/lib/lxd";

/// Two daemons on one host may both have a "c1"; their cgroups must differ.
std::string suffix_of(const std::string& state_dir) {
    if (state_dir == kUsualStateDir) return {};
    return "." + text::sha256_hex(state_dir).substr(0, 8);
}

} // namespace

bool Loaded::privileged() const { return text::is_true(value("security.privileged")); }

std::string Loaded::value(const std::string& key) const {
    const auto it = config.find(key);
    return it == config.end() ? std::string{} : it->second;
}

Expander::Expander(std::vector<db::ProfileRow> profiles) {
    for (auto& profile : profiles) {
        auto name = profile.name;
        profiles_.emplace(std::move(name), std::move(profile));
    }
}

Loaded Expander::expand(db::InstanceRow row) const {
    std::vector<const api::StringMap*> configs;
    std::vector<const api::Devices*> devices;
    for (const auto& name : row.profiles) {
        const auto it = profiles_.find(name);
        if (it == profiles_.end()) throw Error{ErrorCode::NotFound, "Profile not found"};
        configs.push_back(&it->second.config);
        devices.push_back(&it->second.devices);
    }
    Loaded out;
    out.config = config::expand_config(row.config, configs);
    out.devices = config::expand_devices(row.devices, devices);
    out.row = std::move(row);
    return out;
}

std::string instance_url(const InstanceRef& ref) {
    const auto url = "/1.0/instances/" + ref.name;
    return ref.project == "default" ? url : url + "?project=" + ref.project;
}

OperationOptions operation_options(int type, const InstanceRef& ref, bool with_containers) {
    OperationOptions options{.type = type, .project = ref.project};
    options.resources["instances"] = {"/1.0/instances/" + ref.name};
    if (with_containers) options.resources["containers"] = {"/1.0/containers/" + ref.name};
    return options;
}

device::Volatile device_volatile(const api::StringMap& config, const std::string& device) {
    const auto prefix = "volatile." + device + ".";
    device::Volatile out;
    for (auto it = config.lower_bound(prefix); it != config.end() && it->first.starts_with(prefix); ++it)
        out[it->first.substr(prefix.size())] = it->second;
    return out;
}

void store_device_volatile(api::StringMap& config, const std::string& device, const device::Volatile& values) {
    for (const auto& [key, value] : values)
        config["volatile." + device + "." + key] = value;
}

std::vector<std::string> start_order(const api::Devices& devices) {
    const auto path = [&](const std::string& name) {
        const auto& device = devices.at(name);
        const auto type = device.find("type");
        const auto it = device.find("path");
        return type != device.end() && type->second == "disk" && it != device.end() ? it->second : std::string{};
    };
    std::vector<std::string> names;
    for (const auto& [name, device] : devices)
        names.push_back(name);
    std::stable_sort(names.begin(), names.end(),
                     [&](const std::string& a, const std::string& b) { return path(a) < path(b); });
    return names;
}

const std::pair<const std::string, api::Device>& root_disk(const api::Devices& devices) {
    const std::pair<const std::string, api::Device>* found = nullptr;
    for (const auto& entry : devices) {
        const auto get = [&](const char* key) {
            const auto it = entry.second.find(key);
            return it == entry.second.end() ? std::string{} : it->second;
        };
        if (get("type") != "disk" || get("path") != "/" || !get("source").empty()) continue;
        if (found != nullptr) throw Error{ErrorCode::InvalidArgument, "More than one root device found"};
        found = &entry;
    }
    if (found == nullptr) throw Error{ErrorCode::InvalidArgument, "No root device could be found"};
    return *found;
}

Manager::Manager(const Services& services)
    : s_{services}, intents_{services.local}, cgroups_{CgroupLayout::detect()}, host_{HostResources::detect(cgroups_)},
      balancer_{cgroups_, host_.cpus}, cgroup_suffix_{suffix_of(services.state_dir.path())},
      syscalls_{std::make_unique<SyscallServer>(
          services.helper, services.log,
          [this](const InstanceRef& ref) {
              return InterceptedGuest{interception_of(load(ref).config),
                                      Cgroup{cgroups_, cgroup_name(ref)}.directories()};
          },
          [this](const InstanceRef& ref, std::vector<std::string> command) {
              return run_in_guest(ref, std::move(command));
          })},
      guests_{make_guest_access(GuestAccess::Services{services.operations, services.events, services.storage,
                                                      services.helper, services.reactor, services.pool, services.log})},
      runtime_{services.reactor,
               {.ended =
                    [this](const InstanceRef& ref, std::uint64_t generation) {
                        post([this, ref, generation] { container_ended(ref, generation); });
                    }}},
      backup_store_{services.local,
                    services.global,
                    storage::PoolAccess::of(services.storage).server_folders().backups(),
                    BackupStore::Of::Instances,
                    "instances",
                    "Load backup from database: Instance backup not found"} {
    s_.profiles.set_listener(
        {.check = [this](const std::string& project, const std::string& profile,
                         const api::ProfilePut& next) { profile_check(project, profile, next); },
         .changed = [this](const std::string& project, const std::string& profile,
                           const api::ProfilePut& before) { profile_changed(project, profile, before); }});
}

Manager::~Manager() {
    stop();
    s_.profiles.set_listener({});
}

void Manager::stop() noexcept {
    snapshot_timer_.reset();
    runtime_.interrupt();
    const std::unique_lock lock{gate_->mutex};
    gate_->open = false;
}

void Manager::post(std::function<void()> work) {
    s_.pool.post([gate = gate_, log = &s_.log, work = std::move(work)] {
        const std::shared_lock lock{gate->mutex};
        if (!gate->open) return;
        try {
            work();
        } catch (const std::exception& error) {
            log->error("Instance work failed", {{"err", error.what()}});
        }
    });
}

void Manager::post_after(std::chrono::milliseconds delay, std::function<void()> work) {
    s_.reactor.after(delay, [this, gate = gate_, work = std::move(work)] {
        // The reactor's thread never waits for a stop that is under way.
        const std::shared_lock lock{gate->mutex, std::try_to_lock};
        if (lock && gate->open) post(work);
    });
}

Expander Manager::expander(const std::string& project) const {
    return Expander{s_.global.read_value([&](db::Transaction& tx) { return repo_.profiles(tx, project); })};
}

Loaded Manager::load(const InstanceRef& ref) const {
    std::optional<db::InstanceRow> row;
    std::vector<db::ProfileRow> profiles;
    s_.global.read([&](db::Transaction& tx) {
        row = repo_.find(tx, ref.project, ref.name);
        if (row) profiles = repo_.profiles(tx, ref.project);
    });
    if (!row) throw Error{ErrorCode::NotFound, "Instance not found"};
    return Expander{std::move(profiles)}.expand(std::move(*row));
}

void Manager::require_project(const std::string& project) const {
    if (!s_.global.read_value([&](db::Transaction& tx) { return repo_.project_exists(tx, project); }))
        throw Error{ErrorCode::NotFound, "Project not found"};
}

std::vector<std::string> Manager::names(const std::string& project) const {
    return s_.global.read_value([&](db::Transaction& tx) { return repo_.names(tx, project); });
}

/// The claim first: once it is over, the state says what became of it.
bool Manager::in_use(const InstanceRef& ref) const {
    const auto action = claims_.holder(ref);
    if (action == "start" || action == "restart") return true;
    return runtime_.status(ref) != api::Status::Stopped;
}

namespace {

/// The instances of a project and what expands them, of one moment.
std::pair<std::vector<db::InstanceRow>, Expander> read_project(db::Database& global, const db::InstanceRepository& repo,
                                                               const std::string& project) {
    std::vector<db::InstanceRow> rows;
    std::vector<db::ProfileRow> profiles;
    global.read([&](db::Transaction& tx) {
        rows = repo.list(tx, project);
        profiles = repo.profiles(tx, project);
    });
    return {std::move(rows), Expander{std::move(profiles)}};
}

/// As it is now; a copy only where that differs from what was read.
void visit_as(const api::Instance& known, api::Status status, const InstanceService::Visit& visit) {
    if (known.status_code == status) return visit(known, nullptr);
    auto changed = known;
    changed.status_code = status;
    changed.status = std::string{api::name(status)};
    visit(changed, nullptr);
}

} // namespace

void Manager::each(const std::string& project, bool with_state, const Visit& visit) const {
    if (!with_state) {
        for (const auto& known : *listed(project))
            visit_as(known, runtime_.status({known.project, known.name}), visit);
        return;
    }
    auto [rows, expander] = read_project(s_.global, repo_, project);
    for (auto& row : rows) {
        auto instance = expander.expand(std::move(row));
        const auto state = state_of(instance);
        visit(to_api(std::move(instance)), &state);
    }
}

ListCache::List Manager::listed(const std::string& project) const {
    const auto commits = s_.global.commits();
    if (auto known = lists_.lock()->find(project, commits)) return known;
    auto list = std::make_shared<std::vector<api::Instance>>();
    auto [rows, expander] = read_project(s_.global, repo_, project);
    list->reserve(rows.size());
    for (auto& row : rows)
        list->push_back(to_api(expander.expand(std::move(row))));
    lists_.lock()->store(project, commits, list);
    return list;
}

api::Instance Manager::get(const InstanceRef& ref) const { return to_api(load(ref)); }

api::Instance Manager::to_api(Loaded instance) const {
    api::Instance out;
    out.status_code = runtime_.status(instance.ref());
    out.status = std::string{api::name(out.status_code)};
    auto& row = instance.row;
    out.architecture = architecture_name(row.architecture);
    out.config = std::move(row.config);
    out.devices = std::move(row.devices);
    out.ephemeral = row.ephemeral;
    out.profiles = std::move(row.profiles);
    out.stateful = row.stateful;
    out.description = std::move(row.description);
    out.created_at = row.created_at;
    out.expanded_config = std::move(instance.config);
    out.expanded_devices = std::move(instance.devices);
    out.name = std::move(row.name);
    out.last_used_at = row.last_used_at;
    out.project = std::move(row.project);
    return out;
}

void Manager::set_config(const Loaded& instance, const api::StringMap& changes) {
    if (changes.empty()) return;
    s_.global.write([&](db::Transaction& tx) { repo_.set_config(tx, instance.row.id, changes); });
}

std::string Manager::dir_name(const InstanceRef& ref) const {
    return ref.project == "default" ? ref.name : ref.project + "_" + ref.name;
}

Dir Manager::log_dir(const InstanceRef& ref) const {
    return s_.state_dir.make_dir("logs", 0700).make_dir(dir_name(ref), 0700);
}

std::string Manager::cgroup_name(const InstanceRef& ref) const {
    return "lxc.payload." + dir_name(ref) + cgroup_suffix_;
}

std::string Manager::monitor_cgroup(const InstanceRef& ref) const {
    return "lxc.monitor." + dir_name(ref) + cgroup_suffix_;
}

void Manager::lifecycle(const InstanceRef& ref, const std::string& action) const {
    s_.events.lifecycle(ref.project, action, instance_url(ref));
}

std::unique_ptr<InstanceManager> make_instance_manager(const Services& services) {
    return std::make_unique<Manager>(services);
}

} // namespace lxdcore::instance

namespace lxdcore {

InstanceService::~InstanceService() = default;

std::vector<api::Instance> InstanceService::list(const std::string& project) const {
    std::vector<api::Instance> out;
    each(project, false, [&](const api::Instance& instance, const api::InstanceState*) { out.push_back(instance); });
    return out;
}

std::string InstanceService::etag(const api::Instance& instance) {
    nlohmann::json fields = nlohmann::json::array();
    fields.push_back(instance.architecture);
    fields.push_back(instance.config);
    fields.push_back(instance.devices);
    fields.push_back(instance.ephemeral);
    fields.push_back(instance.profiles);
    return api::etag_of(fields);
}

} // namespace lxdcore
