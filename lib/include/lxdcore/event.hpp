// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/types.hpp>
#include <lxdcore/caller.hpp>

namespace lxdcore {

/// Encoded once, shared by all listeners. One without json is the last: the Core or Client has gone, or its server.
struct Event {
    std::string type;                        ///< lifecycle, operation, logging
    std::string project;                     ///< "" for logging
    std::string owner;                       ///< identity that may see it besides admins; "" for all
    std::shared_ptr<const std::string> json; ///< {"type","timestamp","metadata","location","project"}
};

/// A subscription; ends with its destruction, which waits for a call of its function on another thread. It may outlive
/// what it came from. Thread-safe.
class LXDCORE_API EventSubscription {
public:
    virtual ~EventSubscription();
};

/// Publishes to subscribers. Thread-safe; publishing never blocks: a subscriber's function must only queue.
class LXDCORE_API EventService {
public:
    /// What a subscriber wants, and may see.
    struct Filter {
        std::set<std::string> types{"lifecycle", "operation", "logging"};
        std::string project; ///< "": all
        Caller viewer;
    };
    virtual ~EventService();
    /// @p receive is called for each event, of a Core on the thread that publishes, of a Client on its own thread
    /// (which also tells the end). @throws Error from a Client, when the server cannot be reached or refuses
    virtual std::unique_ptr<EventSubscription> subscribe(Filter filter, std::function<void(const Event&)> receive) = 0;
    /// action such as "instance-started", source such as "/1.0/instances/c1"; the requestor is the current caller.
    /// @p context may be null (left out of the metadata as LXD does).
    virtual void lifecycle(const std::string& project, const std::string& action, const std::string& source,
                           const nlohmann::json& context) = 0;
    /// The same without context.
    void lifecycle(const std::string& project, const std::string& action, const std::string& source);
    /// @p metadata is Operation::to_json(), @p owner Caller::username of who started it.
    virtual void operation(const std::string& project, const std::string& owner, const nlohmann::json& metadata) = 0;
    /// @p level: trace, debug, info, warning, error.
    virtual void logging(const std::string& level, const std::string& message, const api::StringMap& context) = 0;
    /// True when anyone listens for @p type: callers skip building what nobody reads.
    virtual bool wanted(const std::string& type) const = 0;
};

} // namespace lxdcore
