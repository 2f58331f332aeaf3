// SPDX-License-Identifier: Apache-2.0
#include "helper/exec_request.hpp"

#include <climits>

#include <nlohmann/json.hpp>

#include "helper/reply.hpp"
#include "util/byte_text.hpp"

namespace lxdcore::helper {

namespace {

using Json = nlohmann::json;

/// An argument as execve takes it.
std::string c_text(const Json& value) {
    auto text = bytes_from_text(value.get_ref<const std::string&>());
    if (text.find('\0') != std::string::npos) throw Error{ErrorCode::InvalidArgument, "NUL in a command or variable"};
    return text;
}

sock_filter instruction(std::uint64_t packed) {
    sock_filter filter{};
    filter.code = static_cast<std::uint16_t>(packed);
    filter.jt = static_cast<std::uint8_t>(packed >> 16);
    filter.jf = static_cast<std::uint8_t>(packed >> 24);
    filter.k = static_cast<std::uint32_t>(packed >> 32);
    return filter;
}

std::uint32_t need_id(const Json& request, const char* key) {
    const auto id = need_int(request, key);
    // -1 means "leave as it is" to setresuid.
    if (id < 0 || id >= UINT32_MAX) throw Error{ErrorCode::InvalidArgument, std::string{"Invalid "} + key};
    return static_cast<std::uint32_t>(id);
}

} // namespace

ExecRequest ExecRequest::parse(const Json& request) {
    ExecRequest exec;
    for (const auto& argument : request.at("command"))
        exec.command.push_back(c_text(argument));
    if (exec.command.empty()) throw Error{ErrorCode::InvalidArgument, "No command"};
    exec.default_path = true;
    for (const auto& [key, value] : request.at("environment").items()) {
        if (key == "PATH") exec.default_path = false;
        exec.environment.push_back(c_text(key) + "=" + c_text(value));
    }
    exec.cwd = c_text(request.at("cwd"));
    exec.user = need_id(request, "user");
    exec.group = need_id(request, "group");
    exec.interactive = request.value("interactive", false);
    exec.width = request.value("width", 0);
    exec.height = request.value("height", 0);
    for (const auto& path : request.at("cgroups"))
        exec.cgroups.push_back(c_text(path));
    exec.notify = request.value("notify", false);
    if (const auto it = request.find("seccomp"); it != request.end())
        for (const auto& packed : *it)
            exec.seccomp.push_back(instruction(packed.get<std::uint64_t>()));
    if (exec.seccomp.size() > BPF_MAXINSNS) throw Error{ErrorCode::InvalidArgument, "seccomp filter too long"};
    if (const auto it = request.find("rlimits"); it != request.end())
        for (const auto& row : *it)
            exec.limits.push_back(
                {row.at(0).get<int>(), {.rlim_cur = row.at(1).get<rlim_t>(), .rlim_max = row.at(2).get<rlim_t>()}});
    return exec;
}

} // namespace lxdcore::helper
