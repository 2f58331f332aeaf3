// SPDX-License-Identifier: Apache-2.0
#include "client/remote_events.hpp"

#include <boost/asio/detached.hpp>

#include "client/websocket.hpp"

namespace lxdcore::client {

namespace {

using Receive = std::function<void(const Event&)>;

/// What the reader on the I/O thread and the subscription share. `receive` is empty once nobody wants events any more.
struct Reader {
    Reader(std::shared_ptr<Rest> server, Receive function)
        : rest{std::move(server)}, socket{rest->http()}, receive{std::move(function)} {}

    void tell(const Event& event) {
        const std::lock_guard lock{calling};
        if (receive) receive(event);
    }

    std::shared_ptr<Rest> rest;
    WebSocket socket;
    std::recursive_mutex calling; ///< held during a call, which may end the subscription
    Receive receive;
};

Awaitable<void> read_events(std::shared_ptr<Reader> reader) {
    std::string text;
    while (co_await reader->socket.read_message(text) == WebSocket::Kind::Data) {
        const auto json = nlohmann::json::parse(text, nullptr, false);
        if (!json.is_object()) continue;
        Event event;
        event.type = json.value("type", "");
        event.project = json.value("project", "");
        event.json = std::make_shared<const std::string>(std::move(text));
        reader->tell(event);
        text.clear();
    }
    reader->tell({});
}

class RemoteSubscription final : public EventSubscription {
public:
    explicit RemoteSubscription(std::shared_ptr<Reader> reader) : reader_{std::move(reader)} {}
    ~RemoteSubscription() override {
        if (!reader_->rest->http()->thread().ours()) return;
        {
            const std::lock_guard lock{reader_->calling};
            reader_->receive = nullptr;
        }
        reader_->socket.abort();
    }

private:
    std::shared_ptr<Reader> reader_;
};

} // namespace

RemoteEvents::~RemoteEvents() {
    if (!rest_->http()->thread().ours()) return;
    for (const auto& one : open_)
        if (const auto socket = one.lock()) socket->abort();
}

std::unique_ptr<EventSubscription> RemoteEvents::subscribe(Filter filter, Receive receive) {
    Url url{"/1.0/events"};
    std::string types;
    for (const auto& type : filter.types)
        types += (types.empty() ? "" : ",") + type;
    url.query("type", types);
    if (filter.project.empty())
        url.query("all-projects", "true");
    else
        url.project(filter.project);
    auto reader = std::make_shared<Reader>(rest_, std::move(receive));
    reader->socket.connect(url.str());
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(open_, [](const auto& one) { return one.expired(); });
        open_.emplace_back(std::shared_ptr<WebSocket>{reader, &reader->socket});
    }
    asio::co_spawn(rest_->http()->thread().io(), read_events(reader), asio::detached);
    return std::make_unique<RemoteSubscription>(std::move(reader));
}

} // namespace lxdcore::client
