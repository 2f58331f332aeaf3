// SPDX-License-Identifier: Apache-2.0
#include "instance/architecture.hpp"

#include <sys/utsname.h>

#include <array>

#include <lxdcore/error.hpp>

namespace lxdcore::instance {

namespace {

struct Row {
    int id;
    std::string_view name, alias;
};
constexpr std::array kTable{
    Row{1, "i686", "i386"},        Row{2, "x86_64", "amd64"},     Row{3, "armv7l", "armhf"},
    Row{4, "aarch64", "arm64"},    Row{5, "ppc", "powerpc"},      Row{6, "ppc64", "powerpc64"},
    Row{7, "ppc64le", "ppc64el"},  Row{8, "s390x", "s390x"},      Row{9, "mips", "mipsel"},
    Row{10, "mips64", "mips64el"}, Row{11, "riscv32", "riscv32"}, Row{12, "riscv64", "riscv64"},
};

const Row* find(std::string_view name) {
    for (const auto& row : kTable)
        if (row.name == name || row.alias == name) return &row;
    return nullptr;
}

} // namespace

int architecture_id(std::string_view name) {
    if (const auto* row = find(name)) return row->id;
    throw Error{ErrorCode::Internal, "Architecture isn't supported: " + std::string{name}};
}

std::string architecture_name(int id) {
    for (const auto& row : kTable)
        if (row.id == id) return std::string{row.name};
    return {};
}

std::string host_architecture() {
    utsname info{};
    if (::uname(&info) != 0) throw_errno("uname");
    const auto* row = find(info.machine);
    return row != nullptr ? std::string{row->name} : std::string{info.machine};
}

bool runs_here(std::string_view name) {
    const auto host = host_architecture();
    if (name == host) return true;
    return (host == "x86_64" && name == "i686") || (host == "aarch64" && name == "armv7l");
}

} // namespace lxdcore::instance
