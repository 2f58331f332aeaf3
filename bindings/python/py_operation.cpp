// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <optional>

#include <pybind11/stl.h>

#include <lxdcore/operation.hpp>

#include "bindings.hpp"
#include "convert.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

/// Waits in short steps, so that KeyboardInterrupt gets through.
bool wait(const Operation& operation, std::optional<double> timeout) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::duration<double>(timeout.value_or(0));
    for (;;) {
        auto step = std::chrono::milliseconds{200};
        if (timeout) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
            step = std::clamp(left, std::chrono::milliseconds{0}, step);
        }
        bool ended;
        {
            const py::gil_scoped_release release;
            ended = operation.wait(step);
        }
        if (ended) return true;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (timeout && Clock::now() >= deadline) return false;
    }
}

/// The end, or the failure as an exception; then the metadata.
py::object result(const Operation& operation) {
    wait(operation, std::nullopt);
    if (operation.status() == api::Status::Cancelled) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    if (operation.status() != api::Status::Success) throw Error{ErrorCode::Internal, operation.error()};
    return to_python(operation.to_json().value("metadata", nlohmann::json::object()));
}

} // namespace

void init_operation(py::module_& m) {
    py::class_<Operation, std::shared_ptr<Operation>>(m, "Operation", "Work that takes time; usable from any thread.")
        .def_property_readonly("id", [](const Operation& o) { return o.id(); })
        .def_property_readonly("status", [](const Operation& o) { return std::string{api::name(o.status())}; })
        .def_property_readonly("error", &Operation::error, "Text of the failure, or ''.")
        .def(
            "to_dict", [](const Operation& o) { return to_python(o.to_json()); }, "As the REST API shows it.")
        .def("wait", &wait, py::arg("timeout") = py::none(),
             "Waits for the end, at most timeout seconds; False when the time ran out.")
        .def("result", &result, "Waits, raises what failed, and returns the metadata.")
        .def("cancel", &Operation::cancel, py::call_guard<py::gil_scoped_release>());
}

} // namespace lxdcore::python
