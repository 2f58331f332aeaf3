// SPDX-License-Identifier: Apache-2.0
#include "network/dnsmasq.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::network {
namespace {

constexpr auto kStartLimit = std::chrono::seconds{5};
constexpr auto kStopLimit = std::chrono::seconds{5};

bool ended(int pidfd, int timeout_ms) {
    pollfd item{.fd = pidfd, .events = POLLIN, .revents = 0};
    return ::poll(&item, 1, timeout_ms) > 0;
}

void send_signal(int pidfd, int signal) { ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0); }

bool has_user(const char* name, gid_t& group) {
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> buffer{};
    if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return false;
    group = entry.pw_gid;
    return true;
}

bool has_group(const char* name) {
    group entry{};
    group* found = nullptr;
    std::array<char, 16384> buffer{};
    return ::getgrnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0 && found;
}

std::string group_name(gid_t id) {
    group entry{};
    group* found = nullptr;
    std::array<char, 16384> buffer{};
    if (::getgrgid_r(id, &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return std::to_string(id);
    return entry.gr_name;
}

std::string program_of(const Dir& process) {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::readlinkat(process.fd(), "exe", buffer.data(), buffer.size());
    return size > 0 ? std::string{buffer.data(), static_cast<std::size_t>(size)} : "";
}

std::string read_rest(int fd) {
    std::string text;
    std::array<char, 1024> buffer{};
    for (ssize_t n = 0; text.size() < 8192 && (n = ::read(fd, buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(n));
    return text;
}

std::string command_line(const std::vector<std::string>& argv) {
    std::string result;
    for (const std::string& argument : argv)
        result += argument + '\0';
    return result;
}

} // namespace

DnsmasqUser dnsmasq_user() {
    for (const char* name : {"lxd", "dnsmasq", "nobody"}) {
        gid_t group = 0;
        if (!has_user(name, group)) continue;
        for (const char* harmless : {"nogroup", "nobody"})
            if (has_group(harmless)) return {name, harmless};
        return {name, group_name(group)};
    }
    throw Error{ErrorCode::Internal, "No unprivileged user for dnsmasq was found"};
}

Dnsmasq::Dnsmasq(std::string name, Dir directory, Reactor& reactor, std::function<void()> ended)
    : name_{std::move(name)}, directory_{std::move(directory)}, reactor_{reactor}, ended_{std::move(ended)} {}

Dnsmasq::~Dnsmasq() {
    if (token_ != 0) reactor_.cancel(token_);
}

void Dnsmasq::watch() {
    // One report is enough: the descriptor stays readable, and the owner replaces the process on its own thread.
    token_ = reactor_.watch(pidfd_.get(), EPOLLIN | EPOLLONESHOT, [ended = ended_](std::uint32_t) { ended(); });
}

void Dnsmasq::forget() {
    if (token_ != 0) reactor_.cancel(std::exchange(token_, 0));
    if (child_.pid() > 0) child_.wait_for(std::chrono::milliseconds{100});
    child_ = Process{};
    pidfd_.reset();
    pid_ = -1;
    argv_.clear();
}

bool Dnsmasq::running() const { return pidfd_ && !ended(pidfd_.get(), 0); }

void Dnsmasq::reload() const {
    if (pidfd_) send_signal(pidfd_.get(), SIGHUP);
}

void Dnsmasq::adopt(const std::vector<std::string>& argv) {
    const auto text = directory_.read_if_exists("dnsmasq.pid", 64);
    const auto number = text ? text::parse_int(text::trim(*text)) : std::nullopt;
    if (!number || *number <= 1) return;
    // First the handle, then the look: a number that was given to another process meanwhile is seen as such.
    UniqueFd handle{static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*number), 0))};
    if (!handle) return;
    try {
        const Dir process = Dir::open(fmt::format("/proc/{}", *number));
        const std::string program = program_of(process);
        const std::string base = program.substr(program.rfind('/') + 1);
        const UniqueFd file = process.open_file("cmdline", O_RDONLY);
        const std::string line = read_rest(file.get());
        const bool ours = (base == "dnsmasq" || base == "dnsmasq (deleted)") &&
                          line.find("--pid-file=" + directory_.path() + "/dnsmasq.pid" + '\0') != std::string::npos;
        if (!ours || ended(handle.get(), 0)) return;
        pid_ = static_cast<pid_t>(*number);
        pidfd_ = std::move(handle);
        if (line == command_line(argv)) argv_ = argv;
        watch();
    } catch (const Error&) { // it ended while we looked
    }
}

bool Dnsmasq::wait_ready(Process& process, int stderr_fd) {
    const auto limit = std::chrono::steady_clock::now() + kStartLimit;
    // Written when all sockets are bound; made first, filled after.
    while (!directory_.read_if_exists("dnsmasq.pid", 64).value_or("").ends_with('\n')) {
        if (const auto code = process.wait_for(std::chrono::milliseconds{2})) {
            const std::string reason = text::trim(read_rest(stderr_fd));
            throw Error{
                ErrorCode::Internal,
                fmt::format("The DNS and DHCP service exited prematurely: Process exited with non-zero value {} "
                            "({})",
                            *code, text::quote(reason))};
        }
        if (std::chrono::steady_clock::now() > limit) return false;
    }
    return true;
}

void Dnsmasq::start(const std::vector<std::string>& argv) {
    directory_.remove("dnsmasq.pid");
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
    const UniqueFd reading{ends[0]};
    UniqueFd writing{ends[1]};
    Process process = spawn({.argv = argv, .fds = {{writing.get(), 2}}, .new_session = true, .kill_on_destroy = false});
    writing.reset();
    if (!wait_ready(process, reading.get())) {
        process.kill(SIGKILL);
        process.wait();
        throw Error{ErrorCode::Internal, "The DNS and DHCP service did not start in time"};
    }
    pid_ = process.pid();
    pidfd_.reset(::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 3));
    child_ = std::move(process);
    argv_ = argv;
    watch();
}

void Dnsmasq::ensure(const BridgeConfig& config) {
    const auto argv = dnsmasq_argv(name_, config, directory_.path(), dnsmasq_user());
    const std::string raw = dnsmasq_raw(config);
    if (!pidfd_) adopt(argv);
    const bool same_raw = directory_.read_if_exists("dnsmasq.raw") == raw;
    if (running() && argv_ == argv && same_raw) return;
    if (pidfd_) stop();
    directory_.make_dir("dnsmasq.hosts", 0755);
    if (!same_raw) directory_.write("dnsmasq.raw", raw, 0644);
    start(argv);
}

void Dnsmasq::stop() {
    if (!pidfd_) adopt({});
    if (pidfd_) {
        if (token_ != 0) reactor_.cancel(std::exchange(token_, 0));
        send_signal(pidfd_.get(), SIGTERM);
        if (!ended(pidfd_.get(), static_cast<int>(std::chrono::milliseconds{kStopLimit}.count()))) {
            send_signal(pidfd_.get(), SIGKILL);
            ended(pidfd_.get(), 1000);
        }
    }
    forget();
    directory_.remove("dnsmasq.pid");
}

} // namespace lxdcore::network
