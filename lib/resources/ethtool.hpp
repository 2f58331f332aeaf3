// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lxdcore::resources {

/// What a network driver tells about a link.
struct LinkFacts {
    std::string firmware_version;
    std::optional<std::string> permanent_address;
    std::optional<bool> link_detected;
    struct Settings {
        std::vector<std::string> supported_modes, supported_ports;
        std::string port_type, transceiver_type;
        bool auto_negotiation = false;
        std::uint64_t speed = 0; ///< Mbit/s, 0: unknown
        std::string duplex;      ///< "" unknown
    };
    std::optional<Settings> settings;
};

using LinkReader = std::function<LinkFacts(const std::string& link)>;

/// Asks the kernel; what a driver does not answer is left empty. Reentrant.
LinkFacts read_link(const std::string& link);

} // namespace lxdcore::resources
