// SPDX-License-Identifier: Apache-2.0
#include "system/sysctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::sysctl {

bool exists(std::string_view name) { return Dir::open("/proc/sys").exists(name); }

std::string read(std::string_view name) {
    const UniqueFd file = Dir::open("/proc/sys").open_file(name, O_RDONLY);
    std::array<char, 256> buffer{};
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0) throw_errno(std::string{"read "} + std::string{name});
    return text::trim(std::string_view{buffer.data(), static_cast<std::size_t>(size)});
}

void write(std::string_view name, std::string_view value) {
    if (read(name) == value) return;
    const UniqueFd file = Dir::open("/proc/sys").open_file(name, O_WRONLY);
    if (::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
        throw_errno(std::string{"write "} + std::string{name});
}

} // namespace lxdcore::sysctl
