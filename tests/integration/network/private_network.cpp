// SPDX-License-Identifier: Apache-2.0
#include "network/private_network.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <stdexcept>
#include <thread>

#include "event/event_hub.hpp"
#include "system/netlink.hpp"
#include "util/text.hpp"

namespace lxdcore::test {

void enter_private_network() {
    static const bool entered = [] {
        if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) throw std::runtime_error{"unshare"};
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        if (::mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) throw std::runtime_error{"mount /sys"};
        Netlink{}.change("lo", {.up = true});
        return true;
    }();
    (void)entered;
}

std::string output(const std::vector<std::string>& argv) {
    const RunResult result = lxdcore::run(argv);
    return result.out + result.err;
}

std::string ruleset() { return output({"nft", "list", "ruleset"}); }

bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return true;
}

NetworkHost::NetworkHost() {
    enter_private_network();
    ::chmod(dir_.path().c_str(), 0711);
    local_ = db::Database::open(dir_ / "local.db", db::local_migrations());
    global_ = db::Database::open(dir_ / "global.db", db::global_migrations());
    events_ = make_event_service();
    open();
}

void NetworkHost::open() {
    reactor_ = std::make_unique<Reactor>();
    manager_ =
        network::make_network_manager(*local_, *global_, Dir::open(dir_.path().string()), *events_, *reactor_, log_);
    manager_->start();
}

NetworkHost::~NetworkHost() {
    if (!manager_) open();
    for (const auto& network : manager_->list("default"))
        if (network.managed) manager_->remove("default", network.name);
}

void NetworkHost::restart() {
    if (manager_) manager_->stop();
    manager_.reset();
    reactor_.reset();
    open();
}

void NetworkHost::crash() {
    manager_.reset();
    reactor_.reset();
}

void NetworkHost::add(const std::string& name, const api::StringMap& config) {
    api::NetworksPost post;
    post.name = name;
    post.config = config;
    manager_->create("default", post);
}

pid_t NetworkHost::dnsmasq(const std::string& network) const {
    try {
        const auto text = read_file(dir_ / ("networks/" + network + "/dnsmasq.pid"));
        return static_cast<pid_t>(text::parse_int(text::trim(text)).value_or(-1));
    } catch (const std::runtime_error&) {
        return -1;
    }
}

Guest::Guest(const std::string& bridge, const std::string& mac)
    : process_{spawn({.argv = {"unshare", "--net", "sleep", "600"}})}, host_name_{"veth" + text::random_hex(4)} {
    const auto own = [](const std::string& pid) { return output({"readlink", "/proc/" + pid + "/ns/net"}); };
    if (!eventually([&] { return own(std::to_string(process_.pid())) != own("self"); }))
        throw std::runtime_error{"guest did not start"};
    Netlink netlink;
    netlink.create_veth({.host_name = host_name_, .peer_name = "eth0", .peer_hwaddr = mac, .peer_pid = process_.pid()});
    netlink.change(host_name_, {.up = true, .master = netlink.link(bridge).index});
    run({"ip", "link", "set", "eth0", "up"});
    run({"ip", "link", "set", "lo", "up"});
    // As the guest's first boot has it: the client's script sets what the server offers.
    write_file(dir_ / "script",
               "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/$mask dev eth0\n"
               "ip route add default via $router\necho \"$ip $router $dns $domain\" > \"${0%/*}/lease\"\n");
    ::chmod((dir_ / "script").c_str(), 0755);
}

Guest::~Guest() {
    process_.kill(SIGKILL);
    process_.wait();
    Netlink{}.remove(host_name_);
}

std::string Guest::run(const std::vector<std::string>& argv) const {
    std::vector<std::string> full{"nsenter", "-t", std::to_string(process_.pid()), "-n"};
    full.insert(full.end(), argv.begin(), argv.end());
    return output(full);
}

std::string Guest::lease(const std::string& hostname) {
    std::vector<std::string> argv{
        "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "8", "-T", "1", "-s", (dir_ / "script").string()};
    if (!hostname.empty()) argv.insert(argv.end(), {"-x", "hostname:" + hostname});
    const std::string log = run(argv);
    try {
        return text::trim(read_file(dir_ / "lease"));
    } catch (const std::runtime_error&) {
        return log;
    }
}

std::string Guest::lookup(const std::string& name, const std::string& server) const {
    return run({"busybox", "nslookup", "-type=a", name, server});
}

} // namespace lxdcore::test
