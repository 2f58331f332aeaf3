// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <atomic>

#include <pybind11/stl.h>

#include <lxdcore/operation.hpp>

#include "bindings.hpp"
#include "channel.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

/// One end of an interactive operation. It belongs to the operation, which is held.
class OpenChannel {
public:
    OpenChannel(std::shared_ptr<Operation> operation, Channel channel)
        : operation_{std::move(operation)}, channel_{std::move(channel)} {
        if (channel_.fd < 0) return;
        fd_ = ::fcntl(channel_.fd, F_DUPFD_CLOEXEC, 3);
        if (fd_ < 0) throw_errno("dup");
    }
    ~OpenChannel() { close(); }
    OpenChannel(const OpenChannel&) = delete;
    OpenChannel& operator=(const OpenChannel&) = delete;

    int fd() const noexcept { return fd_; }
    void send(const nlohmann::json& message) {
        if (closed_ || !channel_.on_message) throw Error{ErrorCode::BadState, "The channel takes no messages"};
        channel_.on_message(message);
    }
    void close() noexcept {
        if (closed_.exchange(true)) return;
        if (const int fd = fd_.exchange(-1); fd >= 0) ::close(fd);
        try {
            if (channel_.on_close) channel_.on_close();
        } catch (const std::exception&) { // the other side has gone
        }
    }

private:
    std::shared_ptr<Operation> operation_;
    Channel channel_;
    std::atomic<int> fd_ = -1; ///< it is closed without the GIL
    std::atomic<bool> closed_ = false;
};

} // namespace

py::object connect(const std::shared_ptr<Operation>& operation, const std::string& name) {
    auto channel = [&] {
        const Unlocked release;
        const auto object = operation->to_json(true);
        const auto fds = object.contains("metadata") && object["metadata"].is_object()
                             ? object["metadata"].value("fds", nlohmann::json::object())
                             : nlohmann::json::object();
        if (!fds.contains(name)) throw Error{ErrorCode::NotFound, "The operation has no channel " + name};
        return hold(std::make_unique<OpenChannel>(operation, operation->connect(fds.at(name).get<std::string>())));
    }();
    return py::cast(Handle<OpenChannel>{std::move(channel)});
}

void init_channel(py::module_& m) {
    using H = Handle<OpenChannel>;
    py::class_<H>(m, "Channel", "One end of an interactive operation.")
        .def(
            "fileno", [](const H& h) { return h.get().fd(); },
            "A descriptor to read and write, the channel's to close; -1: it takes messages.")
        .def(
            "send",
            [](const H& h, const py::dict& message) {
                const auto json = to_json(message);
                h.call([&](auto& channel) { channel.send(json); });
            },
            py::arg("message"), "A message to the control channel.")
        .def(
            "close", [](const H& h) { h.call([](auto& channel) { channel.close(); }); },
            "Ends it; a second time does nothing.");
}

} // namespace lxdcore::python
