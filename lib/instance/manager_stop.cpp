// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include <fmt/format.h>

#include "instance/lxc/lxc_config.hpp"
#include "instance/lxc/raw_lxc.hpp"
#include "instance/manager.hpp"
#include "operation/operation_types.hpp"
#include "util/steps.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kKillPatience{10};
constexpr std::chrono::seconds kClaimPatience{30};

void send_signal(const std::shared_ptr<UniqueFd>& pidfd, int signal) {
    if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd->get(), signal, nullptr, 0);
}

/// The signal that asks this init to shut down, chosen as liblxc does: systemd blocks SIGRTMIN+3 to read it itself.
int halt_signal(const Loaded& instance, int init_pid) {
    for (const auto& [key, value] : parse_raw_lxc(instance.value("raw.lxc"))) {
        if (key != "lxc.signal.halt") continue;
        if (const auto number = text::parse_int(value); number && *number > 0 && *number < SIGRTMAX)
            return static_cast<int>(*number);
        if (value == "SIGTERM") return SIGTERM;
        if (value == "SIGINT") return SIGINT;
        if (value == "SIGKILL") return SIGKILL;
        if (value == "SIGUSR1") return SIGUSR1;
        if (value == "SIGUSR2") return SIGUSR2;
        if (value == "SIGRTMIN+3") return SIGRTMIN + 3;
        if (value == "SIGRTMIN+4") return SIGRTMIN + 4;
    }
    const auto status = Dir::open("/proc").read_if_exists(std::to_string(init_pid) + "/status");
    const auto at = status ? status->find("SigBlk:") : std::string::npos;
    if (at == std::string::npos) return SIGPWR;
    const auto blocked = std::strtoull(status->c_str() + at + 7, nullptr, 16);
    return (blocked >> (SIGRTMIN + 3 - 1)) & 1 ? SIGRTMIN + 3 : SIGPWR;
}

std::optional<std::chrono::milliseconds> timeout_of(int seconds) {
    if (seconds <= 0) return std::nullopt;
    return std::chrono::seconds{seconds};
}

Error already_stopped() { return Error{ErrorCode::BadState, "The instance is already stopped"}; }

} // namespace

Manager::StateChange Manager::state_change(const InstanceRef& ref, const api::InstanceStatePut& request) {
    if (request.stateful)
        throw Error{ErrorCode::Unsupported, "Stateful stop and start are not supported on this server"};
    if (request.action == "start") return {kInstanceStart, [this, ref] { run_start(ref); }};
    if (request.action == "stop") return {kInstanceStop, [this, ref, request] { run_stop(ref, request); }};
    if (request.action == "restart") return {kInstanceRestart, [this, ref, request] { run_restart(ref, request); }};
    if (request.action == "freeze") return {kInstanceFreeze, [this, ref] { run_freeze(ref, true); }};
    if (request.action == "unfreeze") return {kInstanceUnfreeze, [this, ref] { run_freeze(ref, false); }};
    throw Error{ErrorCode::InvalidArgument, "Unknown action: '" + request.action + "'"};
}

OperationPtr Manager::change_state(const InstanceRef& ref, const api::InstanceStatePut& request) {
    (void)load(ref);
    auto change = state_change(ref, request);
    return s_.operations.start(operation_options(change.operation_type, ref, false),
                               [work = std::move(change.work)](OperationContext&) { work(); });
}

void Manager::run_stop(const InstanceRef& ref, const api::InstanceStatePut& request) {
    const auto running = runtime_.find(ref);
    if (!running) throw already_stopped();
    Claims::Claim claim;
    // A forced stop overtakes a clean one that still waits for the guest.
    if (!request.force || claims_.holder(ref) != "stop") {
        try {
            claim = claims_.take(ref, "stop");
        } catch (Error& error) {
            error.add_context("Failed to create instance stop operation");
            throw;
        }
    }
    if (!runtime_.request_stop(ref, false)) throw already_stopped();
    if (request.force) {
        stop_forced(ref, *running);
        lifecycle(ref, "instance-stopped");
    } else {
        stop_clean(ref, *running, timeout_of(request.timeout));
        lifecycle(ref, "instance-shutdown");
    }
}

/// Asks init to shut down; a frozen one could not hear it.
void Manager::signal_halt(const InstanceRef& ref, const Running& running) {
    if (running.frozen) {
        Cgroup{cgroups_, running.cgroup}.freeze(false);
        runtime_.set_frozen(ref, false);
        lifecycle(ref, "instance-resumed");
    }
    send_signal(running.init_pidfd, halt_signal(load(ref), running.init_pid));
}

void Manager::stop_clean(const InstanceRef& ref, const Running& running,
                         std::optional<std::chrono::milliseconds> timeout) {
    signal_halt(ref, running);
    if (runtime_.wait_gone(ref, running.generation, timeout)) return;
    runtime_.withdraw_stop(ref);
    throw Error{ErrorCode::BadState,
                fmt::format("Failed shutting down instance, status is {}: shutting down the container failed",
                            text::quote(api::name(runtime_.status(ref))))};
}

void Manager::stop_forced(const InstanceRef& ref, const Running& running) {
    Steps steps{s_.log, "instance kill", ref.name};
    send_signal(running.init_pidfd, SIGKILL);
    const Cgroup cgroup{cgroups_, running.cgroup};
    // A task that a v1 freezer holds takes the signal only when it thaws.
    if (running.frozen || cgroup.frozen()) cgroup.kill_all();
    steps.done("signal");
    const bool gone = runtime_.wait_gone(ref, running.generation, kKillPatience);
    steps.done("end of the monitor and clean-up");
    if (gone) return;
    cgroup.kill_all();
    send_signal(running.monitor_pidfd, SIGKILL);
    if (!runtime_.wait_gone(ref, running.generation, kKillPatience))
        throw Error{ErrorCode::Internal, "Failed stopping instance: its processes do not end"};
}

void Manager::run_restart(const InstanceRef& ref, const api::InstanceStatePut& request) {
    const auto running = runtime_.find(ref);
    if (!running) throw already_stopped();
    const auto claim = [&] {
        try {
            return claims_.take(ref, "restart");
        } catch (Error& error) {
            error.add_context("Create restart operation");
            throw;
        }
    }();
    if (!runtime_.request_stop(ref, true)) throw already_stopped();
    if (request.force)
        stop_forced(ref, *running);
    else
        stop_clean(ref, *running, timeout_of(request.timeout));
    start_claimed(ref);
    lifecycle(ref, "instance-restarted");
}

void Manager::run_freeze(const InstanceRef& ref, bool freeze) {
    const auto running = runtime_.find(ref);
    if (!running) throw Error{ErrorCode::BadState, "The container isn't running"};
    if (running->frozen == freeze)
        throw Error{ErrorCode::BadState,
                    freeze ? "The container is already frozen" : "The container is already running"};
    const auto claim = claims_.wait(ref, freeze ? "freeze" : "unfreeze", kKillPatience);
    Cgroup{cgroups_, running->cgroup}.freeze(freeze);
    runtime_.set_frozen(ref, freeze);
    lifecycle(ref, freeze ? "instance-paused" : "instance-resumed");
}

/// The monitor is gone, for whatever reason: releases what the container held, then makes the instance Stopped.
void Manager::container_ended(const InstanceRef& ref, std::uint64_t generation) {
    auto running = runtime_.find(ref);
    if (!running || running->generation != generation) return;
    Claims::Claim claim;
    if (!running->stop_requested) {
        try {
            claim = claims_.wait(ref, "stop", kClaimPatience);
        } catch (const Error&) { // an operation that holds the claim that long watches the end itself
        }
    }
    Steps steps{s_.log, "instance clean-up", ref.name};
    // A monitor that was killed leaves its container behind.
    send_signal(running->init_pidfd, SIGKILL);
    const Cgroup cgroup{cgroups_, running->cgroup};
    if (cgroup.exists()) {
        cgroup.kill_all();
        for (int i = 0; i < 100 && cgroup.usage().processes > 0; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        cgroup.remove();
    }
    Cgroup{cgroups_, monitor_cgroup(ref)}.remove();
    unload_apparmor(ref);
    balancer_.release(ref);
    guests_->forget(ref);
    steps.done("cgroups");
    guest_events_.end(ref);
    const bool rebooting = !running->stop_requested && !host_shutdown_ && log_dir(ref).exists(reboot_mark);
    try {
        const auto instance = load(ref);
        api::StringMap changes;
        release_devices(instance, running->idmap, changes);
        steps.done("devices");
        (void)mounts_.lock()->extract(ref); // unmounts without the lock
        if (!host_shutdown_ && !rebooting) changes["volatile.last_state.power"] = "STOPPED";
        set_config(instance, changes);
        steps.done("record");
        running = runtime_.find(ref);
        if (instance.row.ephemeral && !rebooting && !(running && running->keep)) run_remove(ref);
    } catch (const Error& error) {
        s_.log.error("Failed to clean up after an instance", {{"instance", ref.name}, {"err", error.what()}});
    }
    const bool by_itself = !running || !running->stop_requested;
    runtime_.erase(ref, generation);
    if (rebooting)
        restart_rebooted(ref);
    else if (by_itself)
        lifecycle(ref, "instance-shutdown");
}

/// The guest asked for a reboot: a start like any other, so that changes made meanwhile take effect. The caller holds
/// the claim.
void Manager::restart_rebooted(const InstanceRef& ref) {
    try {
        start_claimed(ref);
        lifecycle(ref, "instance-restarted");
    } catch (const Error& error) {
        s_.log.error("Failed to start an instance after its reboot", {{"instance", ref.name}, {"err", error.what()}});
        set_config(load(ref), {{"volatile.last_state.power", "STOPPED"}});
        lifecycle(ref, "instance-shutdown");
    }
}

} // namespace lxdcore::instance
