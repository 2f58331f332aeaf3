// SPDX-License-Identifier: Apache-2.0
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>

#include <pybind11/stl.h>

#include <lxdcore/event.hpp>

#include "bindings.hpp"
#include "handle.hpp"
#include "signals.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

constexpr std::size_t kMostWaiting = 10'000;

/// What has been published and not yet been read. Its descriptor is readable while there is something to read. The
/// publishing side never needs the GIL.
class EventQueue {
public:
    EventQueue() : ready_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        if (ready_ < 0) throw_errno("eventfd");
    }
    ~EventQueue() { ::close(ready_); }
    EventQueue(const EventQueue&) = delete;
    EventQueue& operator=(const EventQueue&) = delete;

    void put(std::shared_ptr<const std::string> json) {
        const std::lock_guard lock{mutex_};
        if (!json) {
            ended_ = true;
        } else if (waiting_.size() < kMostWaiting) {
            waiting_.push_back(std::move(json));
        } else {
            overflow_ = true;
        }
        tell();
    }
    void interrupt() {
        const std::lock_guard lock{mutex_};
        interrupted_ = true;
        tell();
    }
    /// Nobody waits any more: take() gives null from now on.
    void close() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        tell();
    }
    /// True when take() has something to say.
    bool wait(std::chrono::milliseconds timeout) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(
            lock, timeout, [this] { return !waiting_.empty() || ended_ || overflow_ || interrupted_ || closed_; });
    }
    /// The next; null when there is none now. @throws Error Unavailable when none will come any more or some were lost
    std::shared_ptr<const std::string> take() {
        const std::lock_guard lock{mutex_};
        if (closed_) return nullptr;
        if (!waiting_.empty()) {
            auto json = std::move(waiting_.front());
            waiting_.pop_front();
            if (waiting_.empty() && !ended_ && !overflow_) clear();
            return json;
        }
        if (interrupted_) {
            interrupted_ = false;
            if (!ended_ && !overflow_) clear();
            return nullptr;
        }
        if (overflow_) throw Error{ErrorCode::Unavailable, "More events came than were read"};
        if (ended_)
            throw Error{ErrorCode::Unavailable,
                        "The stream of events has ended: its connection is closed, or the server has gone"};
        return nullptr;
    }
    int fd() const noexcept { return ready_; }

private:
    void tell() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto size = ::write(ready_, &one, sizeof one);
        changed_.notify_all();
    }
    void clear() const {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto size = ::read(ready_, &count, sizeof count);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<const std::string>> waiting_;
    bool ended_ = false, overflow_ = false, interrupted_ = false, closed_ = false;
    int ready_;
};

class EventStream {
public:
    EventStream(EventService& service, EventService::Filter filter) : queue_{std::make_shared<EventQueue>()} {
        const Unlocked release;
        subscription_ =
            service.subscribe(std::move(filter), [queue = queue_](const Event& event) { queue->put(event.json); });
    }
    py::object next(std::optional<double> timeout) {
        process_.require_same();
        if (!subscription_) throw Error{ErrorCode::BadState, "The stream is closed"};
        const auto queue = queue_; // close() may come meanwhile
        if (!wait_in_steps(timeout, [&](auto piece) { return queue->wait(piece); })) return py::none();
        const auto json = queue->take();
        if (!json) return py::none();
        return to_python(nlohmann::json::parse(*json, nullptr, false));
    }
    void interrupt() { queue_->interrupt(); }
    int fileno() const {
        if (!subscription_) throw Error{ErrorCode::BadState, "The stream is closed"};
        return queue_->fd();
    }
    bool closed() const noexcept { return !subscription_; }
    void close() {
        // Taken out under the GIL, so that one of several threads gets it. Its end waits for the publishing side.
        auto ended = std::move(subscription_);
        if (!process_.is_same()) { // as hold() does it
            [[maybe_unused]] const auto* left = ended.release();
            return;
        }
        queue_->close();
        const Unlocked release;
        ended.reset();
    }

private:
    SameProcess process_;
    std::shared_ptr<EventQueue> queue_;
    std::unique_ptr<EventSubscription> subscription_;
};

} // namespace

void init_events(py::module_& m) {
    py::class_<EventStream, std::shared_ptr<EventStream>>(m, "EventStream", "Events from here on; one reader.")
        .def("next", &EventStream::next, py::arg("timeout") = py::none(),
             "The next event as a dict; None when timeout seconds have passed or after interrupt().")
        .def("interrupt", &EventStream::interrupt, "Makes a waiting next() return None; from any thread.")
        .def("fileno", &EventStream::fileno, "Readable while there is something to read.")
        .def("close", &EventStream::close, "No more events.")
        .def_property_readonly("closed", &EventStream::closed, "True after close().");
    using Service = Handle<EventService>;
    py::class_<Service>(m, "EventService", "What happens; usable from any thread.")
        .def(
            "subscribe",
            [](const Service& service, const std::vector<std::string>& types, const std::string& project) {
                EventService::Filter filter;
                filter.types = {types.begin(), types.end()};
                filter.project = project;
                return hold(std::make_unique<EventStream>(service.get(), std::move(filter)));
            },
            py::arg("types"), py::arg("project") = "", "A stream of lifecycle, operation and logging events.");
}

} // namespace lxdcore::python
