// SPDX-License-Identifier: Apache-2.0
#include "system/traffic.hpp"

#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/class.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/htb.h>
#include <netlink/route/tc.h>

#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <lxdcore/error.hpp>

namespace lxdcore::traffic {

namespace {

constexpr std::uint32_t kRoot = TC_HANDLE(1, 0), kClass = TC_HANDLE(1, 0x10);

struct Deleter {
    void operator()(nl_sock* p) const noexcept { nl_socket_free(p); }
    void operator()(rtnl_qdisc* p) const noexcept { rtnl_qdisc_put(p); }
    void operator()(rtnl_class* p) const noexcept { rtnl_class_put(p); }
};

template <typename T>
std::unique_ptr<T, Deleter> own(T* pointer) {
    if (pointer == nullptr) throw Error{ErrorCode::Internal, "netlink: out of memory"};
    return std::unique_ptr<T, Deleter>{pointer};
}

void check(int code, const std::string& what) {
    if (code < 0) throw Error{ErrorCode::Internal, fmt::format("{}: {}", what, nl_geterror(code))};
}

void remove_root(nl_sock* socket, int index, const std::string& link) {
    const auto qdisc = own(rtnl_qdisc_alloc());
    rtnl_tc_set_ifindex(TC_CAST(qdisc.get()), index);
    rtnl_tc_set_parent(TC_CAST(qdisc.get()), TC_H_ROOT);
    const int code = rtnl_qdisc_delete(socket, qdisc.get());
    // Without a qdisc of ours the kernel knows no handle to delete.
    if (std::abs(code) == NLE_OBJ_NOTFOUND || std::abs(code) == NLE_INVAL) return;
    check(code, "remove the limit of " + link);
}

} // namespace

void shape(const std::string& link, std::uint64_t bits) {
    const int index = static_cast<int>(::if_nametoindex(link.c_str()));
    if (index == 0) throw Error{ErrorCode::NotFound, fmt::format("Network interface \"{}\" not found", link)};
    const auto socket = own(nl_socket_alloc());
    check(nl_connect(socket.get(), NETLINK_ROUTE), "open netlink socket");
    remove_root(socket.get(), index, link);
    if (bits == 0) return;

    const auto qdisc = own(rtnl_qdisc_alloc());
    rtnl_tc_set_ifindex(TC_CAST(qdisc.get()), index);
    rtnl_tc_set_parent(TC_CAST(qdisc.get()), TC_H_ROOT);
    rtnl_tc_set_handle(TC_CAST(qdisc.get()), kRoot);
    check(rtnl_tc_set_kind(TC_CAST(qdisc.get()), "htb"), "htb");
    check(rtnl_htb_set_defcls(qdisc.get(), TC_H_MIN(kClass)), "htb");
    check(rtnl_qdisc_add(socket.get(), qdisc.get(), NLM_F_CREATE | NLM_F_REPLACE), "limit " + link);

    const auto bucket = own(rtnl_class_alloc());
    rtnl_tc_set_ifindex(TC_CAST(bucket.get()), index);
    rtnl_tc_set_parent(TC_CAST(bucket.get()), kRoot);
    rtnl_tc_set_handle(TC_CAST(bucket.get()), kClass);
    check(rtnl_tc_set_kind(TC_CAST(bucket.get()), "htb"), "htb");
    check(rtnl_htb_set_rate64(bucket.get(), bits / 8), "limit " + link);
    check(rtnl_htb_set_ceil64(bucket.get(), bits / 8), "limit " + link);
    check(rtnl_class_add(socket.get(), bucket.get(), NLM_F_CREATE), "limit " + link);
}

} // namespace lxdcore::traffic
