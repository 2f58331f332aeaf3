// SPDX-License-Identifier: Apache-2.0
#include <sys/eventfd.h>
#include <unistd.h>

#include <pybind11/stl.h>

#include <lxdcore/operation.hpp>

#include "bindings.hpp"
#include "channel.hpp"
#include "convert.hpp"
#include "handle.hpp"
#include "signals.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using OperationHandleType = Handle<Operation>;

py::object to_dict(const Operation& operation) {
    auto json = [&] {
        const Unlocked release;
        return operation.to_json(true);
    }();
    return to_python(json);
}

/// The end, or the failure as an exception; then the metadata.
py::object result(const Operation& operation) {
    const auto status = [&] {
        const Unlocked release;
        return operation.status();
    }();
    if (!api::is_final(status)) throw Error{ErrorCode::BadState, "The operation has not ended"};
    if (status == api::Status::Cancelled) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    if (status != api::Status::Success) throw Error{operation.error_code(), operation.error()};
    const py::dict object = to_dict(operation);
    return object.contains("metadata") && !object["metadata"].is_none() ? py::object{object["metadata"]} : py::dict{};
}

/// A descriptor that becomes readable at the end, for event loops: no thread of ours ever needs the GIL.
int end_descriptor(Operation& operation) {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) throw_errno("eventfd");
    const int ours = ::dup(fd);
    const auto held = std::shared_ptr<int>{new int{ours}, [](int* end) {
                                               ::close(*end);
                                               delete end;
                                           }};
    const Unlocked release;
    operation.on_end([held] {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto size = ::write(*held, &one, sizeof one);
    });
    return fd;
}

} // namespace

void init_operation(py::module_& m) {
    using Op = OperationHandleType;
    py::class_<Op>(m, "Operation", "Work that takes time; usable from any thread.")
        .def_property_readonly(
            "id", [](const Op& o) { return o.get().id(); }, "A UUID.")
        .def_property_readonly(
            "status", [](const Op& o) { return std::string{api::name(o.call([](auto& op) { return op.status(); }))}; },
            "Pending, Running, Cancelling, Success, Failure or Cancelled.")
        .def_property_readonly(
            "error", [](const Op& o) { return o.call([](auto& op) { return op.error(); }); },
            "Text of the failure, or ''.")
        .def(
            "to_dict", [](const Op& o) { return to_dict(o.get()); }, "As the REST API shows it, with its secrets.")
        .def(
            "wait",
            [](const Op& o, std::optional<double> timeout) {
                auto& operation = o.get();
                return wait_in_steps(timeout, [&](auto piece) { return operation.wait(piece); });
            },
            py::arg("timeout") = py::none(), "Waits for the end, at most timeout seconds; False when the time ran out.")
        .def(
            "result", [](const Op& o) { return result(o.get()); },
            "The metadata after a success. Raises the failure as Error, CancelledError, or BadStateError before the "
            "end.")
        .def(
            "end_descriptor", [](const Op& o) { return end_descriptor(o.get()); },
            "A file descriptor that becomes readable at the end; the caller's to close.")
        .def(
            "connect", [](const Op& o, const std::string& name) { return connect(o.share(), name); }, py::arg("name"),
            "Takes one of its channels: '0', 'control'.")
        .def(
            "cancel", [](const Op& o) { o.call([](auto& op) { op.cancel(); }); },
            "Asks it to stop. Raises an Error if it cannot be cancelled.");
}

} // namespace lxdcore::python
