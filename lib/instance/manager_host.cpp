// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include "instance/boot_sequence.hpp"
#include "instance/manager.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::chrono::seconds kLookAgain{30}; ///< for instances whose pool or network is not there
constexpr auto kAutostartFailure = db::WarningType::InstanceAutostartFailure;

std::size_t parallel_starts() { return std::max(4U, 2 * std::thread::hardware_concurrency()); }

} // namespace

/// What should run and does not; with @p only, of these.
std::vector<BootSequence::Entry> Manager::wanted(const std::vector<InstanceRef>* only) const {
    std::vector<BootSequence::Entry> entries;
    for (auto& row : s_.global.read_value([&](db::Transaction& tx) { return repo_.list(tx, ""); })) {
        const InstanceRef ref{row.project, row.name};
        if (only != nullptr && std::find(only->begin(), only->end(), ref) == only->end()) continue;
        const auto instance = expander(ref.project).expand(std::move(row));
        const auto autostart = instance.value("boot.autostart");
        const bool want =
            autostart.empty() ? instance.value("volatile.last_state.power") == "RUNNING" : text::is_true(autostart);
        if (!want || runtime_.find(ref)) continue;
        const auto number = [&](const char* key) { return text::parse_int(instance.value(key)).value_or(0); };
        entries.push_back(
            {ref, number("boot.autostart.priority"), std::chrono::seconds{number("boot.autostart.delay")}});
    }
    return entries;
}

void Manager::start_wanted() { start_round(wanted(nullptr)); }

void Manager::start_round(std::vector<BootSequence::Entry> entries) {
    BootSequence::Host host;
    host.post = [this](std::function<void()> work) { post(std::move(work)); };
    host.after = [this](std::chrono::milliseconds delay, std::function<void()> call) {
        post_after(delay, std::move(call));
    };
    host.start = [this](const InstanceRef& ref) { run_start(ref); };
    host.running = [this](const InstanceRef& ref) { return runtime_.find(ref).has_value(); };
    host.started = [this](const InstanceRef& ref) { note_autostart(ref, nullptr); };
    host.failed = [this](const InstanceRef& ref, const Error& error, bool last) {
        s_.log.warning("Failed to start instance", {{"instance", ref.name}, {"err", error.what()}});
        if (last) note_autostart(ref, &error);
    };
    host.done = [this](const BootSequence::Outcome& outcome) { round_done(outcome); };
    const auto sequence = std::make_shared<BootSequence>(std::move(entries), std::move(host), parallel_starts());
    {
        const auto current = boot_.lock();
        if (host_shutdown_) return;
        *current = sequence;
    }
    sequence->run();
}

void Manager::round_done(const BootSequence::Outcome& outcome) {
    settled_ = true;
    // Only now "was running" means this boot: whoever did not start is tried again by the next process.
    if (outcome.all_started) remember_boot();
    if (outcome.unavailable.empty()) return;
    post_after(kLookAgain, [this, refs = outcome.unavailable] { start_round(wanted(&refs)); });
}

/// Keeps the warning about a failed automatic start, or settles it; a failure of that is no failure of the start.
void Manager::note_autostart(const InstanceRef& ref, const Error* error) {
    try {
        if (error != nullptr) {
            s_.global.write([&](db::Transaction& tx) {
                warnings_.raise(tx, kAutostartFailure, ref.project, ref.name, error->what());
            });
        } else if (s_.global.read_value([&](db::Transaction& tx) {
                       return warnings_.unresolved(tx, kAutostartFailure, ref.project, ref.name);
                   })) {
            s_.global.write(
                [&](db::Transaction& tx) { warnings_.resolve(tx, kAutostartFailure, ref.project, ref.name); });
        }
    } catch (const Error& failure) {
        s_.log.warning("Failed to keep a warning", {{"instance", ref.name}, {"err", failure.what()}});
    }
}

void Manager::stop_all(std::chrono::seconds patience) {
    host_shutdown_ = true;
    if (const auto sequence = [&] { return *boot_.lock(); }()) sequence->cancel();
    // What stops from here on runs again after the next start, even if this process is killed in the middle.
    forget_boot();
    // A start that was under way is found the second time.
    constexpr int kPasses = 2;
    for (int pass = 0; pass < kPasses; ++pass) {
        std::map<std::int64_t, std::vector<HostStop>, std::greater<>> groups;
        for (const auto& ref : runtime_.all()) {
            try {
                const auto instance = load(ref);
                const auto own = text::parse_int(instance.value("boot.host_shutdown_timeout"));
                const auto priority = text::parse_int(instance.value("boot.stop.priority")).value_or(0);
                groups[priority].push_back({ref, own && *own > 0 ? std::chrono::seconds{*own} : patience});
            } catch (const Error& error) {
                s_.log.error("Failed to stop instance", {{"instance", ref.name}, {"err", error.what()}});
            }
        }
        for (auto& [priority, group] : groups)
            stop_group(group);
    }
}

/// Asks all of them at once; each is killed when its own time is over, so the most impatient one is looked at first.
void Manager::stop_group(std::vector<HostStop>& group) {
    const auto begin = std::chrono::steady_clock::now();
    std::stable_sort(group.begin(), group.end(), [](const auto& a, const auto& b) { return a.patience < b.patience; });
    for (auto& entry : group) {
        entry.running = runtime_.find(entry.ref);
        if (!entry.running || !runtime_.request_stop(entry.ref, false)) continue;
        try {
            signal_halt(entry.ref, *entry.running);
        } catch (const Error& error) {
            s_.log.warning("Failed to signal instance", {{"instance", entry.ref.name}, {"err", error.what()}});
        }
    }
    for (const auto& entry : group) {
        if (!entry.running) continue;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(begin + entry.patience -
                                                                                std::chrono::steady_clock::now());
        const auto patience = std::max(left, std::chrono::milliseconds{0});
        try {
            const bool clean = runtime_.wait_gone(entry.ref, entry.running->generation, patience);
            if (!clean) stop_forced(entry.ref, *entry.running);
            lifecycle(entry.ref, clean ? "instance-shutdown" : "instance-stopped");
        } catch (const Error& error) {
            s_.log.error("Failed to stop instance", {{"instance", entry.ref.name}, {"err", error.what()}});
        }
    }
}

} // namespace lxdcore::instance
