// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/apparmor_loader.hpp"
#include "instance/lxc/apparmor_profile.hpp"
#include "instance/manager.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kProfiles = "security/apparmor/profiles";

std::string file_name(const std::string& directory) { return "lxd-" + directory; }

ApparmorLoader loader(const Dir& state_dir) {
    return {state_dir.make_dir("security", 0700).make_dir("apparmor", 0700).make_dir("profiles", 0700),
            kApparmorParser};
}

ApparmorInput input(const Loaded& instance, std::string name, bool privileged) {
    return {.name = std::move(name),
            .privileged = privileged,
            .nesting = text::is_true(instance.value("security.nesting")),
            .raw = instance.value("raw.apparmor")};
}

} // namespace

/// Other rules of the instance's own are refused here, not by its next start.
void Manager::check_apparmor(const api::StringMap& before, const Loaded& after) const {
    const auto old = before.find("raw.apparmor");
    const auto raw = after.value("raw.apparmor");
    if (raw == (old == before.end() ? std::string{} : old->second) || raw.empty()) return;
    const auto text =
        apparmor_profile(input(after, apparmor_name(dir_name(after.ref()), s_.state_dir.path()), after.privileged()));
    if (apparmor_problem().empty()) loader(s_.state_dir).check(text);
}

/// Writes the profile of an instance and loads it. Gives its name, or "unconfined" where it cannot be loaded, or
/// nothing on a kernel without AppArmor.
std::string Manager::apply_apparmor(const Loaded& instance, bool privileged) const {
    if (!Dir::open("/sys/kernel").exists("security/apparmor")) return {};
    if (!apparmor_problem().empty()) return "unconfined";
    const auto directory = dir_name(instance.ref());
    const auto name = apparmor_name(directory, s_.state_dir.path());
    loader(s_.state_dir).load(file_name(directory), apparmor_profile(input(instance, name, privileged)));
    return name;
}

/// What it does not know any more is no error.
void Manager::unload_apparmor(const InstanceRef& ref) const {
    const auto name = file_name(dir_name(ref));
    if (!s_.state_dir.exists(kProfiles) || !s_.state_dir.dir(kProfiles).exists(name)) return;
    if (apparmor_problem().empty())
        loader(s_.state_dir).unload(name);
    else
        s_.state_dir.dir(kProfiles).remove(name);
}

} // namespace lxdcore::instance
