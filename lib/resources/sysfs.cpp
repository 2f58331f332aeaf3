// SPDX-License-Identifier: Apache-2.0
#include "resources/sysfs.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

struct Place {
    Dir root;
    std::string path;
};

Place locate(const std::string& path) {
    const auto slash = path.find('/');
    return {Dir::open("/" + path.substr(0, slash)), path.substr(slash + 1)};
}

} // namespace

// /sys is a net of links between its own directories; InRoot follows them without leaving it.
std::string Sysfs::text(const std::string& path) {
    try {
        const auto place = locate(path);
        const auto fd = place.root.open_file(place.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, Links::InRoot);
        std::string content;
        char buffer[4096];
        for (ssize_t got = 0; content.size() < (1U << 20) && (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;)
            content.append(buffer, static_cast<std::size_t>(got));
        return text::trim(content);
    } catch (const Error&) {
        return {};
    }
}

std::int64_t Sysfs::number(const std::string& path, std::int64_t otherwise) {
    return text::parse_int(text(path)).value_or(otherwise);
}

std::vector<std::string> Sysfs::list(const std::string& path) {
    try {
        const auto place = locate(path);
        return place.root.dir(place.path, Links::InRoot).list();
    } catch (const Error&) {
        return {};
    }
}

bool Sysfs::exists(const std::string& path) {
    try {
        const auto place = locate(path);
        place.root.open_file(place.path, O_PATH | O_CLOEXEC, 0, Links::InRoot);
        return true;
    } catch (const Error&) {
        return false;
    }
}

std::string Sysfs::link(const std::string& path) {
    try {
        const auto place = locate(path);
        const auto slash = place.path.rfind('/');
        const auto parent = place.root.dir(place.path.substr(0, slash), Links::InRoot);
        char target[4096];
        const auto size = ::readlinkat(parent.fd(), place.path.substr(slash + 1).c_str(), target, sizeof target);
        return size < 0 ? std::string{} : std::string{target, static_cast<std::size_t>(size)};
    } catch (const Error&) {
        return {};
    }
}

std::string Sysfs::pci_address(const std::string& device_link) {
    std::string address;
    for (const auto& part : text::split(link(device_link), '/'))
        if (part.size() == 12 && part[4] == ':' && part[7] == ':' && part[10] == '.') address = part;
    return address;
}

std::int64_t Sysfs::numa_node(const std::string& device) {
    const auto node = number(device + "/numa_node", 0);
    return node < 0 ? 0 : node;
}

std::string Sysfs::id(const std::string& path) {
    const auto value = text(path);
    return value.starts_with("0x") ? value.substr(2) : value;
}

std::string Sysfs::driver(const std::string& device) {
    const auto target = link(device + "/driver");
    return target.substr(target.rfind('/') + 1);
}

std::string Sysfs::driver_version(const std::string& driver) {
    if (driver.empty()) return {};
    const auto own = text("sys/module/" + driver + "/version");
    if (!own.empty()) return own;
    utsname kernel{};
    ::uname(&kernel);
    return kernel.release;
}

} // namespace lxdcore::resources
