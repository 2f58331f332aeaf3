// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "instance/lxc/lxc_config.hpp"
#include "instance/lxc/lxc_runtime.hpp"
#include "instance/manager.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kBootFile = "boot_id";
constexpr int kTries = 3;
constexpr std::chrono::seconds kRetryDelay{5};
constexpr std::chrono::seconds kHostShutdownTimeout{30};

std::string boot_id() { return text::trim(Dir::open("/proc/sys/kernel/random").read("boot_id")); }

/// True when a monitor may listen for the container; only then liblxc is asked. Long paths are hashed by liblxc.
bool may_run(const std::string& sockets, const std::string& lxc_path, const std::string& name) {
    constexpr std::size_t kLongestPlain = 80;
    const auto path = lxc_path + "/" + name + "/command";
    return path.size() > kLongestPlain || sockets.find("@" + path) != std::string::npos;
}

} // namespace

void Manager::start() {
    repair();
    adopt();
}

/// Finishes deletions and renames that were interrupted, and removes what interrupted creations left (R41).
void Manager::repair() {
    const auto exists = [&](const std::string& project, const std::string& name) {
        return s_.global.read_value([&](db::Transaction& tx) { return repo_.find(tx, project, name).has_value(); });
    };
    for (const auto& intent : intents_.pending("instance-create")) {
        if (!exists(intent.project, intent.entity)) {
            s_.storage.delete_instance(intent.project, intent.entity);
            forget_directories({intent.project, intent.entity});
            s_.log.warning("Removed what an interrupted creation left", {{"instance", intent.entity}});
        }
        intents_.end(intent.id);
    }
    for (const auto& intent : intents_.pending("instance-delete")) {
        const InstanceRef ref{intent.project, intent.entity};
        if (exists(ref.project, ref.name)) {
            run_remove(ref);
            s_.log.warning("Finished an interrupted deletion", {{"instance", ref.name}});
        } else {
            s_.storage.delete_instance(ref.project, ref.name);
            forget_directories(ref);
        }
        intents_.end(intent.id);
    }
    for (const auto& intent : intents_.pending("instance-rename")) {
        const auto data = nlohmann::json::parse(intent.data, nullptr, false);
        const auto to = data.is_object() ? data.value("to", std::string{}) : std::string{};
        // The volume follows the row, which tells how far the change came.
        const bool done = exists(intent.project, to);
        try {
            s_.storage.rename_instance(intent.project, done ? intent.entity : to, done ? to : intent.entity);
        } catch (const Error& error) {
            s_.log.info("Nothing to undo of an interrupted rename", {{"instance", to}, {"err", error.what()}});
        }
        intents_.end(intent.id);
    }
}

/// Takes running containers over (R47); notices those that ended meanwhile.
void Manager::adopt() {
    const auto boot = boot_id();
    const bool rebooted = s_.state_dir.read_if_exists(kBootFile).value_or("") != boot;
    const auto lxc_path = s_.state_dir.path() + "/containers";
    const auto sockets = Dir::open("/proc/self/net").read("unix", 64 << 20);
    for (auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const InstanceRef ref{row.project, row.name};
        try {
            const auto name = dir_name(ref);
            const int pid = may_run(sockets, lxc_path, name) ? lxc_init_pid(lxc_path, name) : -1;
            const auto power = row.config.find("volatile.last_state.power");
            const bool was_running = power != row.config.end() && power->second == "RUNNING";
            if (pid <= 0 && !was_running) continue;
            const auto instance = expander(ref.project).expand(std::move(row));
            if (pid > 0) {
                const auto map = IdMap::parse(instance.value(instance.value("volatile.idmap.current").empty()
                                                                 ? "volatile.idmap.next"
                                                                 : "volatile.idmap.current"));
                runtime_.add(ref, pid, map, cgroup_name(ref));
                balancer_.claim(ref, instance.value("limits.cpu"), cgroup_name(ref), true);
                runtime_.set_frozen(ref, Cgroup{cgroups_, cgroup_name(ref)}.frozen());
                if (!was_running) set_config(instance, {{"volatile.last_state.power", "RUNNING"}});
                continue;
            }
            api::StringMap changes;
            release_devices(instance, IdMap{}, changes);
            const bool rebooting = !rebooted && log_dir(ref).exists(reboot_mark);
            if (!rebooted && !rebooting) changes["volatile.last_state.power"] = "STOPPED";
            set_config(instance, changes);
            for (const auto& group : {cgroup_name(ref), monitor_cgroup(ref)}) {
                const Cgroup cgroup{cgroups_, group};
                if (!cgroup.exists()) continue;
                cgroup.kill_all();
                cgroup.remove();
            }
            if (rebooting)
                post([this, ref] {
                    const auto claim = claims_.wait(ref, "restart", kHostShutdownTimeout);
                    if (!runtime_.find(ref)) restart_rebooted(ref);
                });
            else if (instance.row.ephemeral)
                run_remove(ref);
        } catch (const Error& error) {
            s_.log.error("Failed to adopt an instance", {{"instance", ref.name}, {"err", error.what()}});
        }
    }
    if (rebooted) s_.state_dir.write(kBootFile, boot, 0600);
}

/// Instances to start at boot, in order, one after another; the waits in between hold no thread.
struct Manager::Wanted {
    struct Entry {
        InstanceRef ref;
        std::int64_t priority = 0;
        std::chrono::seconds delay{0};
    };
    std::vector<Entry> entries;
    std::size_t next = 0;
    int attempt = 0;
};

void Manager::start_wanted() {
    auto wanted = std::make_shared<Wanted>();
    for (auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const auto profiles = expander(row.project);
        const auto instance = profiles.expand(std::move(row));
        const auto autostart = instance.value("boot.autostart");
        const bool want =
            autostart.empty() ? instance.value("volatile.last_state.power") == "RUNNING" : text::is_true(autostart);
        if (!want || runtime_.find(instance.ref())) continue;
        const auto number = [&](const char* key) { return text::parse_int(instance.value(key)).value_or(0); };
        wanted->entries.push_back(
            {instance.ref(), number("boot.autostart.priority"), std::chrono::seconds{number("boot.autostart.delay")}});
    }
    std::stable_sort(wanted->entries.begin(), wanted->entries.end(),
                     [](const auto& a, const auto& b) { return a.priority > b.priority; });
    post([this, wanted] { start_next(wanted); });
}

void Manager::start_next(const std::shared_ptr<Wanted>& wanted) {
    while (wanted->next < wanted->entries.size()) {
        const auto& entry = wanted->entries[wanted->next];
        auto pause = std::chrono::milliseconds{entry.delay};
        try {
            run_start(entry.ref);
            ++wanted->next;
            wanted->attempt = 0;
        } catch (const Error& error) {
            s_.log.warning("Failed to start instance", {{"instance", entry.ref.name}, {"err", error.what()}});
            pause = kRetryDelay;
            if (++wanted->attempt >= kTries || runtime_.find(entry.ref)) {
                ++wanted->next;
                wanted->attempt = 0;
                pause = {};
            }
        }
        if (pause.count() == 0) continue;
        s_.reactor.after(pause, [this, gate = gate_, wanted] {
            // The reactor's thread never waits for a stop that is under way.
            const std::shared_lock lock{gate->mutex, std::try_to_lock};
            if (lock && gate->open) post([this, wanted] { start_next(wanted); });
        });
        return;
    }
}

void Manager::stop_all(std::chrono::seconds patience) {
    host_shutdown_ = true;
    struct Stopping {
        InstanceRef ref;
        std::int64_t priority;
        std::chrono::steady_clock::time_point deadline;
    };
    std::map<std::int64_t, std::vector<Stopping>, std::greater<>> by_priority;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& ref : runtime_.all()) {
        const auto instance = load(ref);
        const auto own = text::parse_int(instance.value("boot.host_shutdown_timeout"));
        const auto time = own && *own > 0 ? std::chrono::seconds{*own} : kHostShutdownTimeout;
        const auto priority = text::parse_int(instance.value("boot.stop.priority")).value_or(0);
        by_priority[priority].push_back({ref, priority, now + std::min(time, patience)});
    }
    for (const auto& [priority, group] : by_priority) {
        for (const auto& entry : group) {
            const auto running = runtime_.find(entry.ref);
            if (!running || !runtime_.request_stop(entry.ref, false)) continue;
            try {
                signal_halt(entry.ref, *running);
            } catch (const Error& error) {
                s_.log.warning("Failed to signal instance", {{"instance", entry.ref.name}, {"err", error.what()}});
            }
        }
        for (const auto& entry : group) {
            const auto running = runtime_.find(entry.ref);
            if (!running) continue;
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(entry.deadline -
                                                                                    std::chrono::steady_clock::now());
            try {
                if (!runtime_.wait_gone(entry.ref, running->generation, std::max(left, std::chrono::milliseconds{0})))
                    stop_forced(entry.ref, *running);
            } catch (const Error& error) {
                s_.log.error("Failed to stop instance", {{"instance", entry.ref.name}, {"err", error.what()}});
            }
        }
    }
}

} // namespace lxdcore::instance
