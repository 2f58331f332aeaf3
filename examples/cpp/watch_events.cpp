// SPDX-License-Identifier: Apache-2.0
// Prints what happens on a server, until Ctrl-C or the given number of events.
//   watch_events [-n COUNT] [URL]        URL as for the remote_client example
#include <lxdcore/client.hpp>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <string>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

/// Events come on the client's thread, which must not wait: it only queues.
class Queue {
public:
    void put(const Event& event) {
        const std::lock_guard lock{mutex_};
        events_.push_back(event);
        changed_.notify_one();
    }
    Event take() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return !events_.empty(); });
        Event event = events_.front();
        events_.pop_front();
        return event;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Event> events_;
};

void print(const Event& event) {
    const auto json = nlohmann::json::parse(*event.json);
    const auto& metadata = json["metadata"];
    const auto what = event.type == "lifecycle"
                          ? metadata.value("action", "") + " " + metadata.value("source", "")
                          : metadata.value("description", "") + ": " + metadata.value("status", "");
    std::printf("%s %-9s %s\n", json.value("timestamp", "").substr(11, 8).c_str(), event.type.c_str(), what.c_str());
    std::fflush(stdout);
}

void watch(Client& client, long count) {
    Queue queue;
    EventService::Filter filter;
    filter.types = {"lifecycle", "operation"};
    const auto subscription = client.events().subscribe(filter, [&](const Event& event) { queue.put(event); });
    std::fprintf(stderr, "watching\n");
    for (long seen = 0; seen != count; ++seen) {
        const auto event = queue.take();
        if (!event.json) throw Error{ErrorCode::Unavailable, "the server has gone"};
        print(event);
    }
}

} // namespace

int main(int argc, char** argv) {
    long count = -1;
    int at = 1;
    if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
        count = std::atol(argv[2]);
        at = 3;
    }
    try {
        ClientOptions options;
        if (at < argc) options.url = argv[at];
        Client client{options};
        watch(client, count);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
