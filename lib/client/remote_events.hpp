// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include <lxdcore/event.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

class WebSocket;

/// Events of the server, each subscription on a websocket of its own. Thread-safe.
class RemoteEvents final : public EventService {
public:
    explicit RemoteEvents(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    ~RemoteEvents() override; ///< ends the subscriptions
    RemoteEvents(const RemoteEvents&) = delete;
    RemoteEvents& operator=(const RemoteEvents&) = delete;
    /// @p receive is called on the client's thread; when the server goes away, once more with an event without json.
    std::unique_ptr<EventSubscription> subscribe(Filter filter, std::function<void(const Event&)> receive) override;
    void lifecycle(const std::string&, const std::string&, const std::string&, const nlohmann::json&) override {
        not_from_afar();
    }
    void operation(const std::string&, const std::string&, const nlohmann::json&) override { not_from_afar(); }
    void logging(const std::string&, const std::string&, const api::StringMap&) override { not_from_afar(); }
    bool wanted(const std::string&) const override { return false; }

private:
    std::shared_ptr<Rest> rest_;
    std::mutex mutex_;
    std::vector<std::weak_ptr<WebSocket>> open_;
};

} // namespace lxdcore::client
