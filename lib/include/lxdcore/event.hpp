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

/// A subscription; ends with its destruction. Thread-safe.
class LXDCORE_API EventSubscription {
public:
    virtual ~EventSubscription();
};

/// Publishes to subscribers. Thread-safe; publishing never blocks: a subscriber's function must only queue.
class LXDCORE_API EventService {
public:
    struct Filter {
        std::set<std::string> types{"lifecycle", "operation", "logging"};
        std::string project; ///< "": all
        Caller viewer;
    };
    virtual ~EventService();
    virtual std::unique_ptr<EventSubscription> subscribe(Filter filter, std::function<void(const Event&)> receive) = 0;
    /// action such as "instance-started", source such as "/1.0/instances/c1"; the requestor is the current caller.
    /// @p context may be null (left out of the metadata as LXD does).
    virtual void lifecycle(const std::string& project, const std::string& action, const std::string& source,
                           const nlohmann::json& context) = 0;
    void lifecycle(const std::string& project, const std::string& action, const std::string& source);
    virtual void operation(const std::string& project, const std::string& owner, const nlohmann::json& metadata) = 0;
    virtual void logging(const std::string& level, const std::string& message, const api::StringMap& context) = 0;
    /// True when anyone listens for @p type: callers skip building what nobody reads.
    virtual bool wanted(const std::string& type) const = 0;
};

} // namespace lxdcore
