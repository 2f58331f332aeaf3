// SPDX-License-Identifier: Apache-2.0
#include <lxc/lxccontainer.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "helper/library.hpp"
#include "helper/reply.hpp"
#include "helper/verbs.hpp"

namespace lxdcore::helper {

namespace {

struct Liblxc : Library {
    Liblxc() : Library{"liblxc.so.1"} {}
    LXDCORE_SYMBOL(lxc_container_new);
    LXDCORE_SYMBOL(lxc_container_put);
};

} // namespace

/// {"name","lxcpath","config"}: loads the configuration and starts the container in a monitor of its own, which
/// outlives this process. Answers {"ok","pid"} once init runs. With "check" true the configuration is only read.
void start_verb(const nlohmann::json& request, Reply& reply) {
    const Liblxc lxc;
    auto* container = lxc.lxc_container_new(need_text(request, "name").c_str(), need_text(request, "lxcpath").c_str());
    if (container == nullptr) throw Error{ErrorCode::Internal, "Failed to load liblxc"};
    const auto& file = need_text(request, "config");
    container->clear_config(container);
    if (!container->load_config(container, file.c_str()))
        throw Error{ErrorCode::InvalidArgument, "Failed to load config file \"" + file + "\""};
    if (request.value("check", false)) return reply.ok(nlohmann::json::object());
    // With newuidmap in PATH liblxc runs it through a shell, also for root; without it writes the maps itself (R6).
    ::setenv("PATH", "/nonexistent", 1);
    container->want_daemonize(container, true);
    container->want_close_all_fds(container, true);
    if (!container->start(container, 0, nullptr)) {
        const auto text = std::string{"Failed to start the container: liblxc error "};
        throw Error{ErrorCode::Internal, text + std::to_string(container->error_num)};
    }
    reply.ok({{"pid", container->init_pid(container)}});
}

} // namespace lxdcore::helper
