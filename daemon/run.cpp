// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>

#include <nlohmann/json.hpp>

#include <lxdcore/core.hpp>

#include "memory.hpp"
#include "server.hpp"

namespace lxdcore::daemon {

namespace {

constexpr std::chrono::seconds kHostShutdown{30};

/// What may wake the main thread: a signal or a client's wish.
class StopSignal {
public:
    StopSignal() : event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        sigset_t all;
        sigfillset(&all); // also SIGPIPE: a closed pipe is an error of its write, nothing more
        for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
            sigdelset(&all, number); // these end the process, whoever sends them
        pthread_sigmask(SIG_SETMASK, &all, nullptr);
        sigemptyset(&all);
        for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGPWR})
            sigaddset(&all, number);
        signals_ = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
        if (event_ < 0 || signals_ < 0) throw_errno("signalfd");
    }
    ~StopSignal() {
        ::close(event_);
        ::close(signals_);
    }
    StopSignal(const StopSignal&) = delete;
    StopSignal& operator=(const StopSignal&) = delete;

    void raise() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(event_, &one, sizeof one); // can only be full, so set already
    }
    /// The signal's number, 0 for raise().
    int wait() const {
        pollfd waiting[] = {{event_, POLLIN, 0}, {signals_, POLLIN, 0}};
        while (true) {
            if (::poll(waiting, 2, -1) < 0) continue;
            if (waiting[0].revents != 0) return 0;
            signalfd_siginfo info{};
            if (::read(signals_, &info, sizeof info) == sizeof info) return static_cast<int>(info.ssi_signo);
        }
    }

private:
    int event_ = -1, signals_ = -1;
};

/// Many connections need many descriptors; children are given the usual limit again by who starts them.
void raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65536);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Tells systemd how we are; nothing without it.
void notify(const std::string& state) {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    if (length == 0 || length >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
    ::close(fd);
}

/// The socket that systemd listens on for us, if any.
int inherited_socket() {
    constexpr int kFirst = 3;
    const char *pid = std::getenv("LISTEN_PID"), *count = std::getenv("LISTEN_FDS");
    const bool ours = pid != nullptr && count != nullptr && std::to_string(::getpid()) == pid && std::atoi(count) > 0;
    ::unsetenv("LISTEN_PID");
    ::unsetenv("LISTEN_FDS");
    if (!ours) return -1;
    ::fcntl(kFirst, F_SETFD, FD_CLOEXEC);
    ::fcntl(kFirst, F_SETFL, ::fcntl(kFirst, F_GETFL) | O_NONBLOCK);
    return kFirst;
}

std::string socket_group(const std::string& wanted) {
    if (!wanted.empty()) return wanted;
    return ::getgrnam("lxd") != nullptr ? "lxd" : "";
}

/// $LXDCORE_HELPER, beside us, in the build tree, or where it was installed.
std::filesystem::path find_helper() {
    if (const char* given = std::getenv("LXDCORE_HELPER")) return given;
    std::error_code ec;
    const auto here = std::filesystem::read_symlink("/proc/self/exe", ec).parent_path();
    for (const auto& candidate : {here / "lxdcore-helper", here / "../lib/helper/lxdcore-helper",
                                  std::filesystem::path{LXDCORE_LIBEXECDIR} / "lxdcore-helper"})
        if (::access(candidate.c_str(), X_OK) == 0) return std::filesystem::weakly_canonical(candidate, ec);
    return {};
}

Services services_of(Core& core) {
    return {core.instances(),
            core.images(),
            core.profiles(),
            core.networks(),
            core.storage(),
            core.server(),
            core.operations(),
            core.events(),
            core.instance_metadata(),
            core.metrics(),
            core.warnings(),
            [&core](const std::string& database, const std::string& query) { return core.sql(database, query); }};
}

/// A network address that cannot be had now (an interface that is not up yet) must not keep the daemon from starting.
void open_network(Server& server, const Logger& log) {
    const auto open = [&](const char* key, void (Server::*listen)(const std::string&)) {
        try {
            (server.*listen)(server.app().core.server.get(key));
        } catch (const Error& error) {
            log.error("Failed to listen on the network", {{"key", key}, {"err", error.what()}});
        }
    };
    open("core.https_address", &Server::listen_network);
    open("core.metrics_address", &Server::listen_metrics);
}

void start_instances(Server& server, const Logger& log) {
    App& app = server.app();
    app.workers.post([&app, log] {
        try {
            app.core.instances.start_wanted();
        } catch (const std::exception& error) {
            log.error("Failed to start instances", {{"err", error.what()}});
        }
        app.ready = true;
        notify("READY=1");
        log.info("Daemon started", {});
        give_back_memory();
    });
}

void serve_until_stopped(const RunOptions& options, const StopSignal& stop, const Logger& log, const LogSink& sink) {
    Core core{{.state_dir = options.state_dir, .log = sink, .helper = find_helper()}};
    Server server{
        services_of(core), {.state_dir = options.state_dir, .limits = {}, .stop = [&] { stop.raise(); }}, log};
    server.listen_local({.path = options.state_dir / "unix.socket",
                         .group = socket_group(options.group),
                         .inherited = inherited_socket()});
    open_network(server, log);
    start_instances(server, log);
    const int signal = stop.wait();
    notify("STOPPING=1");
    log.info("Stopping", {{"signal", signal == 0 ? "none" : std::to_string(signal)}});
    server.app().stopping = true;
    if (signal == SIGPWR) core.instances().stop_all(kHostShutdown);
}

} // namespace

int run_daemon(const RunOptions& options) {
    ::mallopt(M_ARENA_MAX, 2); // an arena per thread would cost megabytes
    // What a request frees serves the next one; the workers give it back when there is none.
    ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
    ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
    ::umask(0077);
    raise_file_limit();
    const auto sink = make_log_sink(options.log);
    const Logger log{sink};
    try {
        const StopSignal stop;
        log.info("Starting daemon", {{"path", options.state_dir.string()}});
        serve_until_stopped(options, stop, log, sink);
    } catch (const std::exception& error) {
        log.error("Failed to start the daemon", {{"err", error.what()}});
        return 1;
    }
    log.info("Daemon stopped", {});
    return 0;
}

} // namespace lxdcore::daemon
