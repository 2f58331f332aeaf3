// SPDX-License-Identifier: Apache-2.0
#include "system/netns_state.hpp"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore {

namespace {

/// A request with fixed header and attributes, big enough for what is asked here.
class Request {
public:
    template <typename Header>
    Request(std::uint16_t type, std::uint16_t flags, const Header& header) {
        auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data());
        message->nlmsg_type = type;
        message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        message->nlmsg_seq = 1;
        message->nlmsg_len = NLMSG_LENGTH(sizeof header);
        std::memcpy(NLMSG_DATA(message), &header, sizeof header);
    }
    Request& add(std::uint16_t type, std::int32_t value) {
        auto* message = reinterpret_cast<nlmsghdr*>(buffer_.data());
        auto* attribute = reinterpret_cast<rtattr*>(buffer_.data() + NLMSG_ALIGN(message->nlmsg_len));
        attribute->rta_type = type;
        attribute->rta_len = RTA_LENGTH(sizeof value);
        std::memcpy(RTA_DATA(attribute), &value, sizeof value);
        message->nlmsg_len =
            static_cast<std::uint32_t>(NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(attribute->rta_len));
        return *this;
    }
    const void* data() const { return buffer_.data(); }
    std::size_t size() const { return reinterpret_cast<const nlmsghdr*>(buffer_.data())->nlmsg_len; }

private:
    alignas(nlmsghdr) std::array<char, 256> buffer_{};
};

class Socket {
public:
    Socket() : fd_{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)} {
        if (!fd_) throw_errno("netlink socket");
        const int on = 1;
        ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
        const timeval limit{.tv_sec = 5, .tv_usec = 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    /// Sends and hands every answer over; returns the error number of the kernel, 0 for none.
    int ask(const Request& request, const std::function<void(const nlmsghdr&)>& answer) const {
        if (::send(fd_.get(), request.data(), request.size(), 0) < 0) throw_errno("netlink request");
        const bool dump = (static_cast<const nlmsghdr*>(request.data())->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
        alignas(nlmsghdr) static thread_local std::array<char, 65536> buffer;
        for (;;) {
            const auto size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) throw_errno("netlink answer");
            auto left = static_cast<unsigned>(size);
            for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
                 message = NLMSG_NEXT(message, left)) {
                if (message->nlmsg_type == NLMSG_DONE) return 0;
                if (message->nlmsg_type == NLMSG_ERROR)
                    return -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
                answer(*message);
                if (!dump) return 0;
            }
        }
    }

private:
    UniqueFd fd_;
};

void each_attribute(const rtattr* attribute, unsigned left, const std::function<void(const rtattr&)>& visit) {
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        visit(*attribute);
}

template <typename T>
T value_of(const rtattr& attribute) {
    T out{};
    std::memcpy(&out, RTA_DATA(&attribute), std::min<std::size_t>(sizeof out, RTA_PAYLOAD(&attribute)));
    return out;
}

int query_nsid(const Socket& socket, int pid) {
    int id = -1;
    const auto error =
        socket.ask(Request{RTM_GETNSID, 0, rtgenmsg{AF_UNSPEC}}.add(NETNSA_PID, pid), [&](const nlmsghdr& message) {
            const auto* header = reinterpret_cast<const char*>(NLMSG_DATA(&message));
            const auto offset = NLMSG_ALIGN(sizeof(rtgenmsg));
            each_attribute(reinterpret_cast<const rtattr*>(header + offset),
                           message.nlmsg_len - static_cast<unsigned>(NLMSG_LENGTH(offset)),
                           [&](const rtattr& attribute) {
                               if (attribute.rta_type == NETNSA_NSID) id = value_of<std::int32_t>(attribute);
                           });
        });
    if (error != 0) throw_errno("network namespace of the instance", error);
    return id;
}

int nsid_of(const Socket& socket, int pid) {
    if (const int id = query_nsid(socket, pid); id >= 0) return id;
    // The kernel gives ids on demand; somebody else may have asked at the same time.
    const auto error =
        socket.ask(Request{RTM_NEWNSID, NLM_F_ACK, rtgenmsg{AF_UNSPEC}}.add(NETNSA_NSID, -1).add(NETNSA_PID, pid),
                   [](const nlmsghdr&) {});
    if (error != 0 && error != EEXIST) throw_errno("id of the network namespace", error);
    const int id = query_nsid(socket, pid);
    if (id < 0) throw Error{ErrorCode::Internal, "the network namespace has no id"};
    return id;
}

NetnsInterface link_of(const nlmsghdr& message) {
    const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
    NetnsInterface out{.index = info->ifi_index, .flags = info->ifi_flags};
    each_attribute(IFLA_RTA(info), static_cast<unsigned>(IFLA_PAYLOAD(&message)), [&](const rtattr& attribute) {
        if (attribute.rta_type == IFLA_IFNAME) {
            out.name = static_cast<const char*>(RTA_DATA(&attribute));
        } else if (attribute.rta_type == IFLA_MTU) {
            out.mtu = value_of<std::int32_t>(attribute);
        } else if (attribute.rta_type == IFLA_ADDRESS && (info->ifi_flags & IFF_LOOPBACK) == 0) {
            const auto* bytes = static_cast<const unsigned char*>(RTA_DATA(&attribute));
            for (unsigned i = 0; i < RTA_PAYLOAD(&attribute); ++i)
                out.hwaddr += fmt::format("{}{:02x}", i == 0 ? "" : ":", bytes[i]);
        } else if (attribute.rta_type == IFLA_STATS64) {
            const auto stats = value_of<rtnl_link_stats64>(attribute);
            const auto number = [](auto value) { return static_cast<std::int64_t>(value); };
            out.rx_bytes = number(stats.rx_bytes);
            out.tx_bytes = number(stats.tx_bytes);
            out.rx_packets = number(stats.rx_packets);
            out.tx_packets = number(stats.tx_packets);
            out.rx_errors = number(stats.rx_errors);
            out.tx_errors = number(stats.tx_errors);
            out.rx_dropped = number(stats.rx_dropped);
            out.tx_dropped = number(stats.tx_dropped);
        }
    });
    return out;
}

void add_address(const nlmsghdr& message, std::vector<NetnsInterface>& interfaces) {
    const auto* info = static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
    NetnsInterface::Address out{.ipv6 = info->ifa_family == AF_INET6, .prefix = info->ifa_prefixlen};
    if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) return;
    out.scope = info->ifa_scope == RT_SCOPE_HOST ? "local" : info->ifa_scope == RT_SCOPE_LINK ? "link" : "global";
    each_attribute(IFA_RTA(info), static_cast<unsigned>(IFA_PAYLOAD(&message)), [&](const rtattr& attribute) {
        // IFA_ADDRESS is the peer on point-to-point links; IFA_LOCAL comes with IPv4 only.
        if (attribute.rta_type != IFA_LOCAL && !(attribute.rta_type == IFA_ADDRESS && out.address.empty())) return;
        std::array<char, INET6_ADDRSTRLEN> text{};
        ::inet_ntop(info->ifa_family, RTA_DATA(&attribute), text.data(), text.size());
        out.address = text.data();
    });
    for (auto& interface : interfaces)
        if (interface.index == static_cast<int>(info->ifa_index)) interface.addresses.push_back(out);
}

} // namespace

std::vector<NetnsInterface> netns_interfaces(int pid) {
    const Socket socket;
    const int id = nsid_of(socket, pid);
    std::vector<NetnsInterface> out;
    const auto links = Request{RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}}.add(IFLA_TARGET_NETNSID, id);
    if (const int error = socket.ask(links, [&](const nlmsghdr& message) { out.push_back(link_of(message)); });
        error != 0)
        throw_errno("interfaces of the instance", error);
    const auto addresses = Request{RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}}.add(IFA_TARGET_NETNSID, id);
    if (const int error = socket.ask(addresses, [&](const nlmsghdr& message) { add_address(message, out); });
        error != 0)
        throw_errno("addresses of the instance", error);
    return out;
}

} // namespace lxdcore
