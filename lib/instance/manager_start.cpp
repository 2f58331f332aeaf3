// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "instance/architecture.hpp"
#include "instance/kernel_modules.hpp"
#include "instance/lxc/lxc_config.hpp"
#include "instance/lxc/lxcfs.hpp"
#include "instance/lxc/raw_lxc.hpp"
#include "instance/lxc/seccomp_profile.hpp"
#include "instance/manager.hpp"
#include "instance/template_files.hpp"
#include "util/rollback.hpp"
#include "util/steps.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kStartTimeout{120};

/// For files that are written anew at each start: no fsync on the way to a running container.
void write_plain(const Dir& dir, const std::string& name, const std::string& content) {
    const auto fd = dir.open_file(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (::write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        throw_errno(dir.path() + "/" + name);
}

/// What init will get; raw.lxc may name a file of its own, which commands must follow as well.
std::string policy_of(const Loaded& instance) {
    auto out = seccomp_profile(instance.config);
    for (const auto& [key, value] : parse_raw_lxc(instance.value("raw.lxc"))) {
        if (key != "lxc.seccomp.profile") continue;
        const std::filesystem::path file{value};
        out = value.empty() ? std::string{} : Dir::open(file.parent_path().string()).read(file.filename().string());
    }
    return out;
}

/// Nothing where there is no lxcfs, or one that does not answer: the instance then sees the host's figures.
std::vector<device::MountItem> shown_by_lxcfs(const Logger& log) {
    const auto mount = lxcfs_mount(Dir::open("/proc/self").read("mountinfo", 16 << 20));
    if (mount.empty()) return {};
    try {
        return lxcfs_mounts(mount);
    } catch (const Error& error) {
        log.warning("Failed to use lxcfs", {{"path", mount}, {"err", error.what()}});
        return {};
    }
}

TemplateContext template_context(const Loaded& instance, const std::string& trigger) {
    TemplateContext out;
    out.config = instance.config;
    for (const char* kind : {"container.", "instance."}) {
        const std::string prefix = kind;
        out.values[prefix + "name"] = instance.row.name;
        out.values[prefix + "type"] = "container";
        out.values[prefix + "architecture"] = architecture_name(instance.row.architecture);
        out.values[prefix + "privileged"] = instance.privileged() ? "true" : "false";
        out.values[prefix + "ephemeral"] = instance.row.ephemeral ? "true" : "false";
    }
    out.values["trigger"] = trigger;
    for (const auto& [key, value] : instance.config)
        out.values["config." + key] = value;
    for (const auto& [name, device] : instance.devices)
        for (const auto& [key, value] : device)
            out.values["devices." + name + "." + key] = value;
    return out;
}

} // namespace

/// One start: what is prepared, and what must be taken back if it fails.
struct Manager::StartWork {
    Loaded instance;
    IdMap map;
    bool idmapped = false;
    std::vector<CgroupItem> later; ///< limits that only a running container can be given
    std::optional<storage::MountedDir> volume;
    std::string devices_path, rootfs;
    std::vector<device::NicItems> nics;
    std::vector<device::MountItem> mounts;
    api::StringMap changes; ///< config keys to store when it runs
    Rollback undo;
    int init_pid = -1;
};

void Manager::run_start(const InstanceRef& ref) {
    if (runtime_.find(ref)) throw Error{ErrorCode::BadState, "The instance is already running"};
    const auto claim = [&] {
        try {
            return claims_.take(ref, "start");
        } catch (Error& error) {
            error.add_context("Failed to create instance start operation");
            throw;
        }
    }();
    if (runtime_.find(ref)) throw Error{ErrorCode::BadState, "The instance is already running"};
    start_claimed(ref);
    lifecycle(ref, "instance-started");
}

void Manager::start_claimed(const InstanceRef& ref) {
    if (host_shutdown_) throw Error{ErrorCode::Unavailable, "LXD is shutting down"};
    Steps steps{s_.log, "instance start", ref.name};
    StartWork work{.instance = load(ref)};
    check_expanded(work.instance);
    guests_->forget(ref); // who looks at the files of the stopped instance
    load_kernel_modules(work.instance.value("linux.kernel_modules"));
    steps.done("load");
    s_.storage.require_pool(s_.storage.pool_of(ref.project, ref.name));
    for (const auto& name : {cgroup_name(ref), monitor_cgroup(ref)})
        Cgroup{cgroups_, name}.remove();
    steps.done("old cgroups");
    prepare_root(work);
    steps.done("root filesystem");
    plan_devices(work);
    steps.done("devices");
    write_lxc_config(work);
    steps.done("lxc.conf");
    launch(work);
    steps.done("liblxc");
    finish_start(work);
    work.undo.commit();
    release_slot(ref);
    steps.done("record");
    write_backup_file(ref);
    steps.done("backup.yaml");
    snapshot_at_startup(work.instance);
}

void Manager::prepare_root(StartWork& work) {
    const auto ref = work.instance.ref();
    const auto next = next_idmap(work.instance);
    work.undo.add([this, ref] { release_slot(ref); });
    work.map = next.map;
    check_idmap(work.map);
    work.volume = s_.storage.open_instance(ref.project, ref.name);
    work.rootfs = s_.storage.instance_path(ref.project, ref.name) + "/rootfs";

    const bool privileged = work.map.ranges.empty();
    work.idmapped = !privileged && s_.storage.idmapped_mounts(s_.storage.pool_of(ref.project, ref.name));
    const auto disk = privileged || work.idmapped ? IdMap{} : work.map;
    shift_root(work.instance, disk);
    work.changes["volatile.last_state.idmap"] = disk.json();
    work.changes["volatile.idmap.next"] = work.map.json();
    work.changes["volatile.idmap.current"] = work.map.json();
    work.changes["volatile.idmap.base"] = std::to_string(next.base);

    std::vector<std::string> triggers{"start"};
    if (const auto trigger = work.instance.value("volatile.apply_template"); !trigger.empty()) {
        triggers.insert(triggers.begin(), trigger);
        work.changes["volatile.apply_template"] = "";
    }
    for (const auto& trigger : triggers)
        apply_templates(work.volume->dir, trigger, template_context(work.instance, trigger),
                        disk.host_uid(0).value_or(0), disk.host_gid(0).value_or(0));

    // R13: nobody but the root of this very container passes through to files of it that are set-id.
    const auto owner = static_cast<uid_t>(work.map.host_uid(0).value_or(0));
    const auto& top = work.volume->dir;
    if (::fchown(top.fd(), owner, 0) != 0 || ::fchmod(top.fd(), 0100) != 0) throw_errno("protect " + top.path());
}

void Manager::plan_devices(StartWork& work) {
    work.devices_path = devices_path(work.instance.ref());
    for (const auto& name : start_order(work.instance.devices)) {
        auto device = make_device(name, work.instance.devices.at(name));
        const auto seen = target(work.instance, work.map, work.devices_path);
        const auto current = device_volatile(work.instance.row.config, name);
        try {
            device->validate(seen, false);
            auto plan = device->start(seen, current, work.undo);
            if (plan.nic) work.nics.push_back(std::move(*plan.nic));
            std::move(plan.mounts.begin(), plan.mounts.end(), std::back_inserter(work.mounts));
            store_device_volatile(work.changes, name, plan.set);
            // The later steps of this start see what the device has just decided.
            store_device_volatile(work.instance.row.config, name, plan.set);
        } catch (Error& error) {
            error.add_context("Failed to start device " + text::quote(name));
            throw;
        }
    }
}

void Manager::write_lxc_config(StartWork& work) {
    const auto ref = work.instance.ref();
    const auto logs = log_dir(ref);
    LxcConfigInput in;
    in.host_name = ref.name;
    in.architecture = architecture_name(work.instance.row.architecture);
    in.rootfs = work.rootfs;
    in.log_dir = logs.path();
    if (offers_guest_api(work.instance)) in.devlxd = s_.state_dir.make_dir("devlxd", 0755).path();
    in.cgroup_payload = cgroup_name(ref);
    in.cgroup_monitor = monitor_cgroup(ref);
    in.idmapped_root = work.idmapped;
    in.apparmor = apply_apparmor(work.instance, work.map.ranges.empty());
    in.idmap = work.map;
    in.expanded_config = work.instance.config;
    in.nics = work.nics;
    in.mounts = shown_by_lxcfs(s_.log);
    in.mounts.insert(in.mounts.end(), work.mounts.begin(), work.mounts.end());
    auto wanted = limits(work.instance);
    wanted.cpus = balancer_.claim(ref, work.instance.value("limits.cpu"), cgroup_name(ref), false);
    work.undo.add([this, ref] { balancer_.release(ref); });
    in.cgroup = cgroup_items(cgroups_, wanted);
    for (auto& item : block_items(cgroups_, disk_rates(work.instance)))
        in.cgroup.push_back(std::move(item));
    if (cgroups_.hybrid()) {
        const auto first = std::stable_partition(in.cgroup.begin(), in.cgroup.end(),
                                                 [](const CgroupItem& item) { return !item.unified; });
        work.later.assign(first, in.cgroup.end());
        in.cgroup.erase(first, in.cgroup.end());
    }
    std::erase_if(in.cgroup, [&](const CgroupItem& item) { return !cgroups_.offers(item); });
    in.devices_v1 = cgroups_.find("devices") != nullptr;
    const auto policies = s_.state_dir.make_dir("security", 0700).make_dir("seccomp", 0700);
    if (const auto policy = policy_of(work.instance); !policy.empty()) {
        write_plain(policies, dir_name(ref), policy);
        in.seccomp_file = policies.path() + "/" + dir_name(ref);
        if (asks_about_calls(policy)) {
            in.seccomp_proxy = s_.state_dir.path() + "/" + kSyscallSocket;
            in.seccomp_cookie = SyscallServer::cookie(ref);
        }
    } else {
        policies.remove(dir_name(ref));
    }
    logs.remove(reboot_mark);
    if (logs.exists("lxc.log")) logs.replace("lxc.log", "lxc.log.old");
    write_plain(logs, "lxc.conf", lxc_config(in));
}

void Manager::launch(StartWork& work) {
    const auto ref = work.instance.ref();
    const nlohmann::json request{{"name", dir_name(ref)},
                                 {"lxcpath", s_.state_dir.path() + "/containers"},
                                 {"config", log_dir(ref).path() + "/lxc.conf"}};
    try {
        work.init_pid = s_.helper.call("start", request, {}, kStartTimeout).value("pid", -1);
    } catch (Error& error) {
        auto reason = liblxc_failure(ref);
        throw Error{ErrorCode::Internal, fmt::format("Failed to start the container: {}",
                                                     reason.empty() ? std::string{error.what()} : reason)};
    }
}

/// The line of lxc.log that says what went wrong first.
std::string Manager::liblxc_failure(const InstanceRef& ref) const {
    const auto log = log_dir(ref).read_if_exists("lxc.log", 16 << 20);
    if (!log) return {};
    for (const auto& line : text::split(*log, '\n')) {
        const auto at = line.find(" ERROR ");
        if (at == std::string::npos) continue;
        // "<module> - <file:function:line> - <text>"
        const auto first = line.find(" - ", at);
        const auto second = first == std::string::npos ? first : line.find(" - ", first + 3);
        return second == std::string::npos ? line : line.substr(second + 3);
    }
    return {};
}

void Manager::finish_start(StartWork& work) {
    const auto ref = work.instance.ref();
    std::optional<Running> running;
    try {
        running = runtime_.add(ref, work.init_pid, work.map, cgroup_name(ref));
    } catch (const Error&) { // init has ended already: started, then stopped
    }
    if (running) {
        hold_volumes(work.instance);
        work.undo.add([this, ref, running] {
            runtime_.request_stop(ref, true);
            stop_forced(ref, *running);
        });
        Cgroup{cgroups_, cgroup_name(ref)}.apply(work.later);
        for (const auto& name : start_order(work.instance.devices)) {
            auto device = make_device(name, work.instance.devices.at(name));
            auto seen = target(work.instance, work.map, work.devices_path);
            seen.init_pid = running->init_pid;
            seen.init_pidfd = running->init_pidfd->get();
            const auto current = device_volatile(work.instance.row.config, name);
            store_device_volatile(work.changes, name, device->started(seen, current));
        }
    } else {
        balancer_.release(ref);
        release_devices(work.instance, work.map, work.changes);
    }
    work.changes["volatile.last_state.power"] = running ? "RUNNING" : "STOPPED";
    s_.global.write([&](db::Transaction& tx) {
        repo_.set_config(tx, work.instance.row.id, work.changes);
        repo_.set_last_used(tx, work.instance.row.id, api::Time::now());
    });
}

} // namespace lxdcore::instance
