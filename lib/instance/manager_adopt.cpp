// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "instance/host_warnings.hpp"
#include "instance/log_expiry.hpp"
#include "instance/lxc/apparmor_loader.hpp"
#include "instance/lxc/lxc_config.hpp"
#include "instance/lxc/lxc_runtime.hpp"
#include "instance/manager.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kBootFile = "boot_id";
constexpr std::chrono::seconds kRestartPatience{30};

std::string boot_id() { return text::trim(Dir::open("/proc/sys/kernel/random").read("boot_id")); }

/// True when a monitor may listen for the container; only then liblxc is asked. Long paths are hashed by liblxc.
bool may_run(const std::string& sockets, const std::string& lxc_path, const std::string& name) {
    constexpr std::size_t kLongestPlain = 80;
    const auto path = lxc_path + "/" + name + "/command";
    return path.size() > kLongestPlain || sockets.find("@" + path) != std::string::npos;
}

} // namespace

void Manager::start() {
    s_.state_dir.make_dir("devlxd", 0755);
    s_.state_dir.remove(kSyscallSocket);
    syscalls_->listen(s_.state_dir.path() + "/" + kSyscallSocket);
    repair();
    repair_backups();
    adopt();
    try {
        note_host_problems(s_.global, host_problems(cgroups_, apparmor_problem()));
    } catch (const Error& error) {
        s_.log.warning("Failed to keep warnings about the host", {{"err", error.what()}});
    }
    snapshot_timer_ = std::make_unique<MinuteTimer>(
        [this](Schedule::Time last, Schedule::Time now) { post([this, last, now] { snapshots_due(last, now); }); });
    post([this] { expire_logs_daily(); });
    post([this] { refresh_backup_files(); });
    post([this] { expire_backups(); });
}

void Manager::expire_logs_daily() {
    std::set<std::string> known, running;
    for (const auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const InstanceRef ref{row.project, row.name};
        known.insert(dir_name(ref));
        if (runtime_.find(ref)) running.insert(dir_name(ref));
    }
    expire_logs(s_.state_dir.make_dir("logs", 0700), known, running, std::chrono::system_clock::now(), s_.log);
    post_after(std::chrono::hours{24}, [this] { expire_logs_daily(); });
}

/// An instance that stood still while it was copied.
void Manager::thaw_source(const db::Intent& intent) const {
    const auto data = nlohmann::json::parse(intent.data, nullptr, false);
    const auto source = data.is_object() ? data.value("source", std::string{}) : std::string{};
    const auto slash = source.find('/');
    if (slash == std::string::npos) return;
    const Cgroup cgroup{cgroups_, cgroup_name({source.substr(0, slash), source.substr(slash + 1)})};
    if (cgroup.exists()) cgroup.freeze(false);
}

/// Finishes deletions and renames that were interrupted, and removes what interrupted creations left (R41).
void Manager::repair() {
    const auto exists = [&](const std::string& project, const std::string& name) {
        return s_.global.read_value([&](db::Transaction& tx) { return repo_.find(tx, project, name).has_value(); });
    };
    for (const auto& intent : intents_.pending("instance-create")) {
        thaw_source(intent);
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
        if (done) rename_directories({intent.project, intent.entity}, {intent.project, to});
        intents_.end(intent.id);
    }
    repair_snapshots();
    repair_restores();
    repair_refreshes();
    repair_moves();
    for (const auto& intent : intents_.pending("instance-shift")) {
        if (!exists(intent.project, intent.entity)) {
            intents_.end(intent.id);
            continue;
        }
        try {
            auto instance = load({intent.project, intent.entity});
            finish_shifts(instance);
        } catch (const Error& error) { // tried again when it starts
            s_.log.warning("Failed to finish the change of an id map",
                           {{"instance", intent.entity}, {"err", error.what()}});
        }
    }
}

/// Takes running containers over (R47); notices those that ended meanwhile.
void Manager::adopt() {
    const bool rebooted = s_.state_dir.read_if_exists(kBootFile).value_or("") != boot_id();
    bool complete = true; // nothing waits to be started again
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
                hold_volumes(instance);
                if (!was_running) set_config(instance, {{"volatile.last_state.power", "RUNNING"}});
                continue;
            }
            complete = false;
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
            unload_apparmor(ref);
            if (rebooting)
                post([this, ref] {
                    const auto claim = claims_.wait(ref, "restart", kRestartPatience);
                    if (!runtime_.find(ref)) restart_rebooted(ref);
                });
            else if (instance.row.ephemeral)
                run_remove(ref);
        } catch (const Error& error) {
            s_.log.error("Failed to adopt an instance", {{"instance", ref.name}, {"err", error.what()}});
        }
    }
    s_.storage.unmount_unused();
    if (rebooted && complete) remember_boot();
}

/// From now on a power state of "RUNNING" means this boot of the host.
void Manager::remember_boot() {
    const auto boot = boot_id();
    if (s_.state_dir.read_if_exists(kBootFile).value_or("") != boot) s_.state_dir.write(kBootFile, boot, 0600);
}

/// The next start takes every recorded power state for one of an earlier boot.
void Manager::forget_boot() { s_.state_dir.remove(kBootFile); }

} // namespace lxdcore::instance
