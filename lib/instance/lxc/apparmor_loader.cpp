// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/apparmor_loader.hpp"

#include "util/process.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

void ApparmorLoader::check(const std::string& text) const {
    const auto file = "check." + text::random_hex(8);
    Rollback remove;
    remove.add([&, file] { profiles_.remove(file); });
    profiles_.write(file, text, 0600);
    (void)run_checked({parser_, "-QK", profiles_.path() + "/" + file});
}

void ApparmorLoader::load(const std::string& file, const std::string& text) const {
    if (profiles_.read_if_exists(file) != text) profiles_.write(file, text);
    (void)run_checked({parser_, "-rW", profiles_.path() + "/" + file});
}

void ApparmorLoader::unload(const std::string& file) const {
    if (!profiles_.exists(file)) return;
    (void)run({parser_, "-R", profiles_.path() + "/" + file});
    profiles_.remove(file);
}

std::string apparmor_problem() {
    const auto sys = Dir::open("/sys");
    if (text::trim(sys.read_if_exists("module/apparmor/parameters/enabled").value_or("")) != "Y")
        return "Disabled because of lack of kernel support";
    for (const char* folder : {"/sbin", "/usr/sbin", "/usr/bin"})
        if (Dir::open(folder).exists(kApparmorParser)) return {};
    return "Disabled because 'apparmor_parser' couldn't be found";
}

} // namespace lxdcore::instance
