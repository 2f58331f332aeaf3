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
#include "shutdown.hpp"

namespace lxdcore::daemon {

namespace {

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

/// Many connections need many descriptors. Gives the limit that was, for containers; 0: it is as it was.
std::uint64_t raise_file_limit() {
    constexpr rlim_t kWanted = 65536;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return 0;
    const auto before = limit.rlim_cur;
    limit.rlim_cur = std::min(limit.rlim_max, kWanted);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? before : 0;
}

/// What systemd has given us. The environment is cleared, so that no child takes it for its own.
class ServiceManager {
public:
    ServiceManager() {
        const char *pid = std::getenv("LISTEN_PID"), *count = std::getenv("LISTEN_FDS");
        if (pid != nullptr && count != nullptr && std::to_string(::getpid()) == pid) adopt(std::atoi(count));
        if (const char* path = std::getenv("NOTIFY_SOCKET")) notify_path_ = path;
        for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"})
            ::unsetenv(name);
    }
    /// The local socket that it listens on for us; -1 without one.
    int socket() const { return socket_; }
    /// Tells it how we are; nothing without it.
    void notify(const std::string& state) const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const auto length = notify_path_.size();
        if (length == 0 || length >= sizeof address.sun_path) return;
        std::memcpy(address.sun_path, notify_path_.data(), length);
        if (notify_path_[0] == '@') address.sun_path[0] = '\0';
        const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return;
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
        ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
        ::close(fd);
    }

private:
    void adopt(int count) {
        constexpr int kFirst = 3;
        for (int fd = kFirst; fd < kFirst + count; ++fd) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            int family = 0, listening = 0;
            socklen_t size = sizeof family;
            ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
            ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
            if (family != AF_UNIX || listening == 0 || socket_ >= 0) continue;
            ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
            socket_ = fd;
        }
    }
    int socket_ = -1;
    std::string notify_path_;
};

std::string socket_group(const std::string& wanted) {
    if (!wanted.empty()) return wanted;
    return ::getgrnam("lxd") != nullptr ? "lxd" : "";
}

bool unprivileged_only() {
    const char* given = std::getenv("LXD_UNPRIVILEGED_ONLY");
    const std::string_view value = given != nullptr ? given : "";
    return value == "true" || value == "1" || value == "yes" || value == "on";
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
            core.volumes(),
            core.server(),
            core.operations(),
            core.events(),
            core.instance_metadata(),
            core.backups(),
            core.volume_backups(),
            core.instance_snapshots(),
            core.publishing(),
            core.metrics(),
            core.warnings(),
            core.guest_api(),
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

void start_instances(App& app) {
    app.workers.post([&app] {
        try {
            app.core.instances.start_wanted();
        } catch (const std::exception& error) {
            app.log.error("Failed to start instances", {{"err", error.what()}});
        }
        give_back_memory();
    });
}

/// Returns when the daemon is to end, with everything stopped that has to.
void serve(App& app, const StopSignal& stop, const ServiceManager& manager) {
    while (true) {
        const int signal = stop.wait();
        if (signal != 0 && app.stopping.exchange(true)) {
            app.log.warning("Ignoring a signal, shutting down already", {{"signal", std::to_string(signal)}});
            continue;
        }
        manager.notify("STOPPING=1");
        app.log.info("Stopping", {{"signal", signal == 0 ? "none" : std::to_string(signal)}});
        if (signal == SIGPWR) stop_everything(app, false);
        return;
    }
}

void serve_until_stopped(const RunOptions& options, const StopSignal& stop, const Logger& log, const LogSink& sink,
                         std::uint64_t guest_file_limit) {
    const ServiceManager manager;
    Core core{{.state_dir = options.state_dir,
               .log = sink,
               .helper = find_helper(),
               .unprivileged_only = unprivileged_only(),
               .guest_file_limit = guest_file_limit,
               .allow_empty_database = options.allow_empty_database}};
    Server server{
        services_of(core), {.state_dir = options.state_dir, .limits = {}, .stop = [&] { stop.raise(); }}, log};
    server.listen_local({.path = options.state_dir / "unix.socket",
                         .group = socket_group(options.group),
                         .inherited = manager.socket()});
    server.listen_guests();
    open_network(server, log);
    manager.notify("READY=1");
    log.info("Daemon started", {});
    start_instances(server.app());
    serve(server.app(), stop, manager);
}

} // namespace

int run_daemon(const RunOptions& options) {
    ::mallopt(M_ARENA_MAX, 2); // an arena per thread would cost megabytes
    // What a request frees serves the next one; the workers give it back when there is none.
    ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
    ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
    ::umask(0077);
    const auto guest_file_limit = raise_file_limit();
    const auto sink = make_log_sink(options.log);
    const Logger log{sink};
    try {
        const StopSignal stop;
        log.info("Starting daemon", {{"path", options.state_dir.string()}});
        serve_until_stopped(options, stop, log, sink, guest_file_limit);
    } catch (const std::exception& error) {
        log.error("Failed to start the daemon", {{"err", error.what()}});
        return 1;
    }
    log.info("Daemon stopped", {});
    return 0;
}

} // namespace lxdcore::daemon
