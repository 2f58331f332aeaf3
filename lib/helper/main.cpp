// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "helper/reply.hpp"
#include "helper/verbs.hpp"

namespace {

using namespace lxdcore;

constexpr int kRequestFd = 3;
constexpr int kReplyFd = 4;
constexpr std::size_t kMaxRequest = 16u << 20;

constexpr std::pair<std::string_view, helper::Verb> kVerbs[] = {
    {"exec", helper::exec_verb},           {"file", helper::file_verb},     {"mount", helper::mount_verb},
    {"unmount", helper::unmount_verb},     {"unpack", helper::unpack_verb}, {"start", helper::start_verb},
    {"intercept", helper::intercept_verb}, {"sftp", helper::sftp_verb},     {"receive", helper::receive_verb},
};

std::string read_request() {
    std::string text;
    char block[16384];
    for (;;) {
        // pread: the descriptor is a memfd that shares its offset with the writer.
        ssize_t n = ::pread(kRequestFd, block, sizeof block, static_cast<off_t>(text.size()));
        if (n < 0 && errno == ESPIPE) n = ::read(kRequestFd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read request");
        if (n == 0) return text;
        text.append(block, static_cast<std::size_t>(n));
        if (text.size() > kMaxRequest) throw Error{ErrorCode::TooLarge, "helper: request too large"};
    }
}

helper::Verb find_verb(std::string_view name) {
    for (const auto& [verb, function] : kVerbs)
        if (verb == name) return function;
    throw Error{ErrorCode::InvalidArgument, "helper: unknown verb " + std::string{name}};
}

/// For what is started in a guest: the daemon's own limit is higher than programs expect.
void limit_files(const char* wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(std::strtoull(wanted, nullptr, 10), limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run(std::string_view name, helper::Reply& reply) {
    try {
        const helper::Verb verb = find_verb(name);
        const auto request = nlohmann::json::parse(read_request());
        ::close(kRequestFd);
        verb(request, reply);
        if (!reply.answered()) reply.ok(nlohmann::json::object());
        return 0;
    } catch (const Error& error) {
        reply.error(error.code(), error.what());
    } catch (const std::exception& error) {
        reply.error(ErrorCode::Internal, error.what());
    }
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    // Only the daemon gives us these two; started by hand there is nobody to answer.
    if (argc < 2 || argc > 3 || ::fcntl(kRequestFd, F_SETFD, FD_CLOEXEC) != 0 ||
        ::fcntl(kReplyFd, F_SETFD, FD_CLOEXEC) != 0) {
        constexpr std::string_view text = "lxdcore-helper is started by lxdcored and is of no use by hand\n";
        if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return 2;
        return 2;
    }
    if (argc == 3) limit_files(argv[2]);
    helper::Reply reply{kReplyFd};
    return run(argv[1], reply);
}
