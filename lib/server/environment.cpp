// SPDX-License-Identifier: Apache-2.0
#include "server/environment.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "util/dir.hpp"
#include "util/text.hpp"

extern "C" {
bool lxc_has_api_extension(const char* extension);
const char* lxc_get_version(void);
}

namespace lxdcore::server {

namespace {

using Json = nlohmann::json;

const char* flag(bool value) { return value ? "true" : "false"; }

bool kernel_at_least(const utsname& kernel, int major, int minor) {
    int have_major = 0;
    int have_minor = 0;
    if (std::sscanf(kernel.release, "%d.%d", &have_major, &have_minor) != 2) return false;
    return have_major > major || (have_major == major && have_minor >= minor);
}

Json kernel_features(const utsname& kernel) {
    seccomp_notif_sizes sizes{};
    const bool listener = ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
    // With impossible arguments: only a kernel without the call answers ENOSYS.
    const bool idmapped = ::syscall(SYS_mount_setattr, -1, nullptr, 0, nullptr, 0) == 0 || errno != ENOSYS;
    const auto filesystems = Dir::open("/proc").read_if_exists("filesystems").value_or("");
    return {{"idmapped_mounts", flag(idmapped)},
            {"netnsid_getifaddrs", flag(kernel_at_least(kernel, 4, 20))},
            {"seccomp_listener", flag(listener)},
            {"seccomp_listener_continue", flag(listener && kernel_at_least(kernel, 5, 5))},
            {"shiftfs", flag(filesystems.find("\tshiftfs\n") != std::string::npos)},
            {"uevent_injection", flag(kernel_at_least(kernel, 4, 18))},
            {"unpriv_fscaps", flag(kernel_at_least(kernel, 4, 14))}};
}

Json lxc_features() {
    Json features = Json::object();
    for (const auto* name : {"cgroup2", "core_scheduling", "devpts_fd", "idmapped_mounts_v2", "mount_injection_file",
                             "network_gateway_device_route", "network_ipvlan", "network_l2proxy",
                             "network_phys_macvlan_mtu", "network_veth_router", "pidfd", "seccomp_allow_deny_syntax",
                             "seccomp_notify", "seccomp_proxy_send_notify_fd"})
        features[name] = flag(lxc_has_api_extension(name));
    return features;
}

Json architectures(const std::string& machine) {
    if (machine == "x86_64") return {"x86_64", "i686"};
    if (machine == "aarch64") return {"aarch64", "armv7l"};
    return Json::array({machine});
}

std::string os_release(const std::string& key) {
    const auto text = Dir::open("/usr/lib").read_if_exists("os-release").value_or("");
    for (const auto& line : text::split(text, '\n')) {
        if (!line.starts_with(key + "=")) continue;
        auto value = line.substr(key.size() + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        return value;
    }
    return {};
}

std::string join_host_port(const std::string& host, const std::string& port) {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::vector<std::string> host_addresses(const std::string& port, bool ipv4, bool ipv6) {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return {};
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner{list, ::freeifaddrs};
    std::vector<std::string> addresses;
    for (const auto* entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
        char text[INET6_ADDRSTRLEN] = "";
        if (entry->ifa_addr->sa_family == AF_INET && ipv4) {
            ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text, sizeof text);
        } else if (entry->ifa_addr->sa_family == AF_INET6 && ipv6) {
            const auto& address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&address)) continue;
            ::inet_ntop(AF_INET6, &address, text, sizeof text);
        }
        if (text[0] != '\0') addresses.push_back(join_host_port(text, port));
    }
    return addresses;
}

} // namespace

std::string host_name() {
    char name[256] = "";
    if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
    return name;
}

Json fixed_environment(const Json& storage_drivers) {
    utsname kernel{};
    ::uname(&kernel);
    return {{"architectures", architectures(kernel.machine)},
            {"driver", "lxc"},
            {"driver_version", lxc_get_version()},
            {"firewall", "nftables"},
            {"kernel", kernel.sysname},
            {"kernel_architecture", kernel.machine},
            {"kernel_features", kernel_features(kernel)},
            {"kernel_version", kernel.release},
            {"lxc_features", lxc_features()},
            {"os_name", os_release("NAME")},
            {"os_version", os_release("VERSION_ID")},
            {"project", "default"},
            {"server", "lxd"},
            {"server_clustered", false},
            {"server_event_mode", "full-mesh"},
            {"server_name", host_name()},
            {"server_pid", ::getpid()},
            {"server_version", "5.0.2"},
            {"storage_supported_drivers", storage_drivers}};
}

std::vector<std::string> reachable_addresses(const std::string& https_address) {
    if (https_address.empty()) return {};
    std::string host = https_address;
    std::string port = "8443";
    if (host.front() == '[') {
        const auto end = host.find(']');
        if (end != std::string::npos && end + 2 < host.size() && host[end + 1] == ':') port = host.substr(end + 2);
        host = host.substr(1, end == std::string::npos ? std::string::npos : end - 1);
    } else if (const auto colon = host.find(':');
               colon != std::string::npos && host.find(':', colon + 1) == std::string::npos) {
        if (colon + 1 < host.size()) port = host.substr(colon + 1);
        host = host.substr(0, colon);
    }
    if (host.empty() || host == "::" || host == "*") return host_addresses(port, true, true);
    if (host == "0.0.0.0") return host_addresses(port, true, false);
    return {join_host_port(host, port)};
}

} // namespace lxdcore::server
