// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <lxdcore/export.hpp>

namespace lxdcore {

/// On whose behalf a call runs. Operations and lifecycle events remember it (requestor); operations of one identity are
/// hidden from others.
struct Caller {
    std::string username;          ///< certificate fingerprint, or the user name of a unix peer; "" for internal work
    std::string protocol = "unix"; ///< unix, tls
    std::string address;           ///< peer address, "@" on the unix socket
    bool admin = true;             ///< may see and do everything (unix socket, unrestricted certificate)
};

/// Sets the caller of the current thread for its lifetime; nests. Operations carry it over to their worker.
/// Thread-bound.
class LXDCORE_API CallerScope {
public:
    /// Until its end calls of this thread are on behalf of @p caller.
    explicit CallerScope(Caller caller);
    ~CallerScope();
    CallerScope(const CallerScope&) = delete;
    CallerScope& operator=(const CallerScope&) = delete;
    /// The innermost caller of this thread, or an internal one.
    static const Caller& current();
    /// False for internal work: events then carry no requestor.
    static bool present();

private:
    const Caller* outer_;
    Caller caller_;
};

} // namespace lxdcore
