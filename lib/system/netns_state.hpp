// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lxdcore {

/// One interface of another network namespace.
struct NetnsInterface {
    struct Address {
        bool ipv6 = false;
        std::string address;
        int prefix = 0;
        std::string scope; ///< global, link, local
    };
    int index = 0;
    std::string name, hwaddr;
    int mtu = 0;
    unsigned flags = 0; ///< IFF_*
    std::int64_t rx_bytes = 0, tx_bytes = 0, rx_packets = 0, tx_packets = 0, rx_errors = 0, tx_errors = 0,
                 rx_dropped = 0, tx_dropped = 0;
    std::vector<Address> addresses;
};

/// The interfaces of the network namespace of process @p pid, asked of the kernel from here by namespace id: nobody
/// enters the namespace. @throws Error
std::vector<NetnsInterface> netns_interfaces(int pid);

} // namespace lxdcore
