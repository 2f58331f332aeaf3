// SPDX-License-Identifier: Apache-2.0
#include "instance/log_expiry.hpp"

#include <algorithm>

#include <lxdcore/error.hpp>

namespace lxdcore::instance {

namespace {

using Clock = std::chrono::system_clock;
constexpr std::chrono::hours kKeepLog{48}, kKeepFolder{24};

Clock::time_point changed(const struct stat& info) { return Clock::from_time_t(info.st_mtim.tv_sec); }

void expire_folder(const Dir& folder, bool running, Clock::time_point now) {
    for (const auto& name : folder.list()) {
        const bool console = name == "console.log" || name == "console.log.1";
        if (!console && !name.ends_with(".log") && !name.ends_with(".log.old")) continue;
        if (running && (console || name == "lxc.log")) continue; // liblxc holds them open
        const auto info = folder.stat(name);
        if (S_ISREG(info.st_mode) && now - changed(info) > kKeepLog) folder.remove(name);
    }
}

bool abandoned(const Dir& logs, const std::string& name, Clock::time_point now) {
    auto newest = changed(logs.stat(name));
    const auto folder = logs.dir(name);
    for (const auto& file : folder.list())
        newest = std::max(newest, changed(folder.stat(file)));
    return now - newest > kKeepFolder;
}

} // namespace

void expire_logs(const Dir& logs, const std::set<std::string>& known, const std::set<std::string>& running,
                 Clock::time_point now, const Logger& log) {
    for (const auto& name : logs.list()) {
        try {
            if (!S_ISDIR(logs.stat(name).st_mode)) continue; // of the daemon and of networks
            if (known.contains(name))
                expire_folder(logs.dir(name), running.contains(name), now);
            else if (abandoned(logs, name, now))
                logs.remove_tree(name);
        } catch (const Error& error) {
            log.warning("Old logs are not removed", {{"folder", name}, {"err", error.what()}});
        }
    }
}

} // namespace lxdcore::instance
