// SPDX-License-Identifier: Apache-2.0
#include "instance/kernel_modules.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/process.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

bool is_module_name(const std::string& name) {
    const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
    return !name.starts_with('-') && std::all_of(name.begin(), name.end(), allowed);
}

void load(const std::string& name) {
    if (!is_module_name(name))
        throw Error{ErrorCode::InvalidArgument, "Invalid name of a kernel module: " + text::quote(name)};
    auto known = name;
    std::replace(known.begin(), known.end(), '-', '_'); // the kernel's spelling
    if (Dir::open("/sys/module").exists(known)) return;
    try {
        (void)run_checked({"modprobe", "-b", name});
    } catch (Error& error) {
        error.add_context(fmt::format("Failed to load kernel module '{}'", name));
        throw;
    }
}

} // namespace

void load_kernel_modules(std::string_view list) {
    for (const auto& entry : text::split(list, ','))
        if (const auto name = text::trim(entry); !name.empty()) load(name);
}

} // namespace lxdcore::instance
