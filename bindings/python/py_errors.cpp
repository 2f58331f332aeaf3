// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <exception>
#include <string>

#include <lxdcore/error.hpp>

#include "bindings.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

struct ErrorClass {
    ErrorCode code;
    const char* name;
};

constexpr std::array kClasses{
    ErrorClass{ErrorCode::InvalidArgument, "InvalidArgumentError"},
    ErrorClass{ErrorCode::NotFound, "NotFoundError"},
    ErrorClass{ErrorCode::AlreadyExists, "AlreadyExistsError"},
    ErrorClass{ErrorCode::BadState, "BadStateError"},
    ErrorClass{ErrorCode::StaleEtag, "StaleEtagError"},
    ErrorClass{ErrorCode::Forbidden, "ForbiddenError"},
    ErrorClass{ErrorCode::Unauthorized, "UnauthorizedError"},
    ErrorClass{ErrorCode::TooLarge, "TooLargeError"},
    ErrorClass{ErrorCode::Unsupported, "UnsupportedError"},
    ErrorClass{ErrorCode::Unavailable, "UnavailableError"},
    ErrorClass{ErrorCode::Cancelled, "CancelledError"},
    ErrorClass{ErrorCode::NoSpace, "NoSpaceError"},
};

const char* class_of(ErrorCode code) {
    for (const auto& entry : kClasses)
        if (entry.code == code) return entry.name;
    return "Error";
}

} // namespace

void init_errors(py::module_& m) {
    const std::string module = m.attr("__name__").cast<std::string>();
    const auto add = [&](const char* name, PyObject* base) {
        const py::object type =
            py::reinterpret_steal<py::object>(PyErr_NewException((module + "." + name).c_str(), base, nullptr));
        m.attr(name) = type;
        return type;
    };
    const py::object base = add("Error", PyExc_Exception);
    for (const auto& entry : kClasses)
        add(entry.name, base.ptr());
    py::register_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const Error& error) {
            // Looked up by name: a translator must not keep state of one interpreter.
            const auto type = py::module_::import("lxdcore._lxdcore").attr(class_of(error.code()));
            PyErr_SetString(type.ptr(), error.what());
        }
    });
}

} // namespace lxdcore::python
