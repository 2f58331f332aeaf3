// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "config/config_keys.hpp"
#include "config/policy.hpp"
#include "instance/lxc/raw_lxc.hpp"
#include "instance/lxc/seccomp_profile.hpp"
#include "instance/manager.hpp"
#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::instance {

void Manager::check_config(const api::StringMap& local) const {
    config::validate_instance(local, false);
    check_seccomp(local);
    if (const auto it = local.find("raw.lxc"); it != local.end()) check_raw_lxc(it->second);
}

/// What only the merged configuration shows (R12, R14: the same rule for values from profiles).
void Manager::check_expanded(const Loaded& instance) const {
    check_raw_lxc(instance.value("raw.lxc"));
    check_seccomp(instance.config);
    check_limits(instance);
}

/// Who may have it (R12, R14, R22), and whether liblxc understands raw.lxc.
void Manager::check_policy(const api::StringMap& before, const Loaded& after) const {
    config::check_policy(before, after.config);
    check_apparmor(before, after);
    const auto had = [&](const char* key) {
        const auto it = before.find(key);
        return it == before.end() ? std::string{} : it->second;
    };
    const auto raw = after.value("raw.lxc");
    const bool other_raw = raw != had("raw.lxc");
    if (s_.unprivileged_only) {
        if (after.privileged() && !text::is_true(had("security.privileged")))
            throw Error{ErrorCode::InvalidArgument, "LXD was configured to only allow unprivileged containers"};
        if (other_raw) check_contained(raw);
    }
    if (!other_raw || raw.empty()) return;
    const auto text = raw_lxc_text(raw);
    const UniqueFd file{::memfd_create("raw.lxc", MFD_CLOEXEC)};
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        throw_errno("raw.lxc");
    constexpr int kConfigFd = 5;
    try {
        s_.helper.call("start",
                       {{"name", dir_name(after.ref())},
                        {"lxcpath", s_.state_dir.path() + "/containers"},
                        {"config", "/proc/self/fd/" + std::to_string(kConfigFd)},
                        {"check", true}},
                       {{file.get(), kConfigFd}});
    } catch (const Error& error) {
        throw Error{error.code(), std::string{error.what()} + ": loading config file for the container failed"};
    }
}

} // namespace lxdcore::instance
