// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "instance/guest_exec.hpp"
#include "util/byte_text.hpp"

namespace lxdcore::instance {

api::StringMap exec_environment(const api::StringMap& expanded_config, const api::InstanceExecPost& request) {
    api::StringMap environment{{"LANG", "C.UTF-8"}, {"container", "lxc"}};
    if (request.user == 0) {
        environment["HOME"] = "/root";
        environment["USER"] = "root";
    }
    constexpr std::string_view prefix = "environment.";
    for (const auto& [key, value] : expanded_config)
        if (key.starts_with(prefix)) environment[key.substr(prefix.size())] = value;
    for (const auto& [key, value] : request.environment)
        environment[key] = value;
    return environment;
}

std::string exec_directory(const api::StringMap& environment, const api::InstanceExecPost& request) {
    if (!request.cwd.empty()) return request.cwd;
    const auto home = environment.find("HOME");
    return home != environment.end() && !home->second.empty() ? home->second : "/";
}

std::string instance_url(const InstanceRef& ref, const std::string& rest) {
    return "/1.0/instances/" + ref.name + rest + (ref.project == "default" ? "" : "?project=" + ref.project);
}

nlohmann::json exec_request(const RunningGuest& guest, const api::InstanceExecPost& request) {
    const auto environment = exec_environment(guest.expanded_config, request);
    auto command = nlohmann::json::array(), cgroups = nlohmann::json::array(), filter = nlohmann::json::array();
    for (const auto& argument : request.command)
        command.push_back(bytes_to_text(argument));
    for (const auto& path : guest.cgroup_paths)
        cgroups.push_back(bytes_to_text(path));
    auto variables = nlohmann::json::object();
    for (const auto& [key, value] : environment)
        variables[bytes_to_text(key)] = bytes_to_text(value);
    for (std::size_t at = 0; at + 8 <= guest.seccomp_bpf.size(); at += 8) {
        std::uint64_t instruction = 0; // one sock_filter: code, jt, jf, k, little endian
        std::memcpy(&instruction, guest.seccomp_bpf.data() + at, 8);
        filter.push_back(instruction);
    }
    auto limits = nlohmann::json::array();
    for (const auto& limit : guest.limits)
        limits.push_back({limit.resource, limit.soft, limit.hard});
    return {{"command", std::move(command)},
            {"environment", std::move(variables)},
            {"cwd", bytes_to_text(exec_directory(environment, request))},
            {"user", request.user},
            {"group", request.group},
            {"interactive", request.interactive},
            {"width", request.width},
            {"height", request.height},
            {"cgroups", std::move(cgroups)},
            {"seccomp", std::move(filter)},
            {"rlimits", std::move(limits)},
            {"notify", static_cast<bool>(guest.serve_calls)}};
}

} // namespace lxdcore::instance
