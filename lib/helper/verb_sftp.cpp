// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "helper/guest_entry.hpp"
#include "helper/reply.hpp"
#include "helper/sftp_server.hpp"
#include "helper/verbs.hpp"
#include "helper/watchdog.hpp"

namespace lxdcore::helper {

namespace {

constexpr int kTargetFd = 5;
constexpr int kSocketFd = 6;
constexpr std::chrono::seconds kPatience{30};

} // namespace

void sftp_verb(const nlohmann::json& json, Reply& reply) {
    ::prctl(PR_SET_DUMPABLE, 0);
    const bool running = json.value("running", false);
    const IdTable ids{json.value("idmap", nlohmann::json::array())};
    for (const int fd : {kTargetFd, kSocketFd})
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) throw_errno("helper: descriptors");
    Watchdog{kPatience}.guard(reply, [&](Watchdog& dog) {
        const UniqueFd socket{kSocketFd};
        const GuestRoot root = open_guest(UniqueFd{kTargetFd}, running);
        ::umask(0);
        reply.ok(nlohmann::json::object());
        SftpServer{root, ids, dog}.run(socket.get());
    });
}

} // namespace lxdcore::helper
