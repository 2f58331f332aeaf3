// SPDX-License-Identifier: Apache-2.0
#include "resources/sysfs.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::resources {

namespace {

struct Place {
    Dir root;
    std::string path;
};

Place locate(const std::string& root, const std::string& path) {
    const auto slash = path.find('/');
    if (slash == std::string::npos) return {Dir::open(root), path};
    return {Dir::open(root + path.substr(0, slash)), path.substr(slash + 1)};
}

bool is_pci_address(const std::string& name) {
    return name.size() == 12 && name[4] == ':' && name[7] == ':' && name[10] == '.';
}

std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string last(const std::string& path) { return path.substr(path.rfind('/') + 1); }

} // namespace

// /sys is a net of links between its own directories; InRoot follows them without leaving it.
UniqueFd Sysfs::open(const std::string& path) const {
    try {
        const auto place = locate(root_, path);
        return place.root.open_file(place.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, Links::InRoot);
    } catch (const Error&) {
        return {};
    }
}

std::string Sysfs::text(const std::string& path, std::size_t max) const {
    const auto fd = open(path);
    if (!fd) return {};
    std::string content;
    char buffer[4096];
    for (ssize_t got = 0; content.size() < max && (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;)
        content.append(buffer, static_cast<std::size_t>(got));
    return text::trim(content);
}

std::int64_t Sysfs::number(const std::string& path, std::int64_t otherwise) const {
    return text::parse_int(text(path)).value_or(otherwise);
}

std::int64_t Sysfs::hex(const std::string& path) const {
    const auto digits = id(path);
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return value;
}

std::vector<std::string> Sysfs::list(const std::string& path) const {
    try {
        const auto place = locate(root_, path);
        return place.root.dir(place.path, Links::InRoot).list();
    } catch (const Error&) {
        return {};
    }
}

bool Sysfs::exists(const std::string& path) const {
    try {
        const auto place = locate(root_, path);
        place.root.open_file(place.path, O_PATH | O_CLOEXEC, 0, Links::InRoot);
        return true;
    } catch (const Error&) {
        return false;
    }
}

std::string Sysfs::link(const std::string& path) const {
    try {
        const auto place = locate(root_, path);
        const auto slash = place.path.rfind('/');
        const auto dir = slash == std::string::npos ? place.root.clone()
                                                    : place.root.dir(place.path.substr(0, slash), Links::InRoot);
        char target[4096];
        const auto size = ::readlinkat(dir.fd(), last(place.path).c_str(), target, sizeof target);
        return size < 0 ? std::string{} : std::string{target, static_cast<std::size_t>(size)};
    } catch (const Error&) {
        return {};
    }
}

std::string Sysfs::link_name(const std::string& path) const { return last(link(path)); }

std::string Sysfs::real(const std::string& path) const {
    std::vector<std::string> done, todo = text::split(path, '/');
    int links = 0;
    while (!todo.empty()) {
        const auto part = todo.front();
        todo.erase(todo.begin());
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (!done.empty()) done.pop_back();
            continue;
        }
        done.push_back(part);
        const auto target = done.size() > 1 ? link(text::join(done, "/")) : std::string{};
        if (target.empty()) continue;
        if (++links > 40) return {};
        done.pop_back();
        if (target.front() == '/') done.clear();
        auto parts = text::split(target, '/');
        todo.insert(todo.begin(), parts.begin(), parts.end());
    }
    const auto place = text::join(done, "/");
    return exists(place) ? place : std::string{};
}

std::string Sysfs::pci_address(const std::string& device) const {
    auto path = real(device);
    if (link_name(path + "/subsystem") == "virtio") path = parent(path);
    return link_name(path + "/subsystem") == "pci" && is_pci_address(last(path)) ? last(path) : std::string{};
}

std::string Sysfs::usb_address(const std::string& device) const {
    for (auto path = real(device); path.find("/usb") != std::string::npos; path = parent(path))
        if (exists(path + "/busnum") && exists(path + "/devnum"))
            return text(path + "/busnum") + ":" + text(path + "/devnum");
    return {};
}

std::int64_t Sysfs::numa_node(const std::string& device) const {
    const auto node = number(device + "/numa_node", 0);
    return node < 0 ? 0 : node;
}

std::string Sysfs::id(const std::string& path) const {
    const auto value = text(path);
    return value.starts_with("0x") ? value.substr(2) : value;
}

std::string Sysfs::driver(const std::string& device) const { return link_name(device + "/driver"); }

std::string Sysfs::driver_version(const std::string& device) const {
    if (driver(device).empty()) return {};
    const auto own = text(device + "/driver/module/version");
    if (!own.empty()) return own;
    utsname kernel{};
    ::uname(&kernel);
    return kernel.release;
}

} // namespace lxdcore::resources
