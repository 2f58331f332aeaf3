// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/asio.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace lxdcore::daemon {

struct App;
class Exchange;

/// Who may use a route. Decided before a body is read; there is no value that means "not said" (R16).
enum class Permission {
    Anybody = 1, ///< also callers that nobody vouches for
    Trusted,     ///< unix socket or a certificate of the trust store
    Project,     ///< trusted, and a restricted certificate must list the request's project
    Admin,       ///< unix socket or an unrestricted certificate
    Internal,    ///< unix socket only
    Guest,       ///< root of a guest, on the guest API's socket only
};

/// Runs on a worker and may block; a JSON body has been read.
using Handler = Response (*)(const Request&, App&);
/// Runs on the I/O thread, must not block: reads the body itself, upgrades, waits.
using StreamHandler = Awaitable<Response> (*)(Exchange&);
/// Runs on the I/O thread; answers from memory or not at all.
using InlineHandler = std::optional<Response> (*)(const Request&, App&);

struct Route {
    Method method = Method::None;
    std::string pattern; ///< "/1.0/instances/{name}/state"; a last part "{name*}" takes the rest, '/' included
    Permission permission;
    Handler handler = nullptr;
    StreamHandler stream = nullptr;
    InlineHandler shortcut = nullptr;
    std::vector<std::string> params;
};

/// The one table of what the daemon answers and to whom. Filled at start, then only read: reentrant.
class Router {
public:
    Router();
    ~Router();
    /// @throws std::logic_error for a route without permission or twice the same
    void add(Method method, std::string pattern, Permission permission, Handler handler);
    void add(Method method, std::string pattern, Permission permission, StreamHandler handler);
    /// @p shortcut is asked first; where it has nothing, @p handler runs on a worker.
    void add_cheap(Method method, std::string pattern, Permission permission, InlineHandler shortcut, Handler handler);

    struct Match {
        bool known = false;           ///< the path has at least one method
        const Route* route = nullptr; ///< null: not this method
    };
    /// Sets @p request's params. @throws Error InvalidArgument for a part that decodes to "..", NUL, bad UTF-8 or,
    /// where names hold none, a '/'
    Match match(Request& request) const;
    const std::deque<Route>& routes() const noexcept { return routes_; }

private:
    struct Node;
    void insert(Route route);
    std::deque<Route> routes_;
    std::unique_ptr<Node> root_;
};

Method method_of(std::string_view text);

} // namespace lxdcore::daemon
