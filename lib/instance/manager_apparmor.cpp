// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/apparmor_profile.hpp"
#include "instance/manager.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kParser = "apparmor_parser";

std::string file_name(const std::string& directory) { return "lxd-" + directory; }

/// Whether the kernel confines by profiles and there is a program that gives it some.
bool can_load() {
    const auto sys = Dir::open("/sys");
    if (text::trim(sys.read_if_exists("module/apparmor/parameters/enabled").value_or("")) != "Y") return false;
    for (const char* folder : {"/sbin", "/usr/sbin", "/usr/bin"})
        if (Dir::open(folder).exists(kParser)) return true;
    return false;
}

} // namespace

/// Writes the profile of an instance and loads it. Gives its name, or "unconfined" where it cannot be loaded, or
/// nothing on a kernel without AppArmor.
std::string Manager::apply_apparmor(const Loaded& instance) const {
    if (!Dir::open("/sys/kernel").exists("security/apparmor")) return {};
    if (!can_load()) return "unconfined";
    const auto directory = dir_name(instance.ref());
    const auto profiles = s_.state_dir.make_dir("security", 0700).make_dir("apparmor", 0700).make_dir("profiles", 0700);
    ApparmorInput in;
    in.name = apparmor_name(directory, s_.state_dir.path());
    in.privileged = instance.privileged();
    in.nesting = text::is_true(instance.value("security.nesting"));
    in.raw = instance.value("raw.apparmor");
    const auto text = apparmor_profile(in);
    if (profiles.read_if_exists(file_name(directory)) != text) profiles.write(file_name(directory), text);
    run_checked({kParser, "-rW", profiles.path() + "/" + file_name(directory)});
    return in.name;
}

/// What it does not know any more is no error.
void Manager::unload_apparmor(const InstanceRef& ref) const {
    constexpr const char* kProfiles = "security/apparmor/profiles";
    const auto name = file_name(dir_name(ref));
    if (!s_.state_dir.exists(kProfiles) || !s_.state_dir.dir(kProfiles).exists(name)) return;
    const auto profiles = s_.state_dir.dir(kProfiles);
    if (can_load()) (void)run({kParser, "-R", profiles.path() + "/" + name});
    profiles.remove(name);
}

} // namespace lxdcore::instance
