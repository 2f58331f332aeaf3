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
    const char* doc;
};

constexpr std::array kClasses{
    ErrorClass{ErrorCode::InvalidArgument, "InvalidArgumentError",
               "What was asked for makes no sense; of a Client also what cannot be done now."},
    ErrorClass{ErrorCode::NotFound, "NotFoundError", "There is no such thing."},
    ErrorClass{ErrorCode::AlreadyExists, "AlreadyExistsError", "The name is taken."},
    ErrorClass{ErrorCode::BadState, "BadStateError",
               "It cannot be done now: what it concerns is running, stopped, in use or closed."},
    ErrorClass{ErrorCode::StaleEtag, "StaleEtagError", "It was changed by somebody else since it was read."},
    ErrorClass{ErrorCode::Forbidden, "ForbiddenError",
               "The caller may not do this, or the server is not the one that was expected."},
    ErrorClass{ErrorCode::Unauthorized, "UnauthorizedError", "The server does not know the caller."},
    ErrorClass{ErrorCode::TooLarge, "TooLargeError", "More than the server takes."},
    ErrorClass{ErrorCode::Unsupported, "UnsupportedError", "The server, or its storage pool, cannot do this."},
    ErrorClass{ErrorCode::Unavailable, "UnavailableError",
               "The server cannot be reached, has gone away, or did not answer in time."},
    ErrorClass{ErrorCode::Cancelled, "CancelledError", "It was cancelled, or the connection was closed meanwhile."},
    ErrorClass{ErrorCode::NoSpace, "NoSpaceError", "The storage or a quota is full."},
};

const char* class_of(ErrorCode code) {
    for (const auto& entry : kClasses)
        if (entry.code == code) return entry.name;
    return "Error";
}

} // namespace

void init_errors(py::module_& m) {
    const std::string module = m.attr("__name__").cast<std::string>();
    const auto add = [&](const char* name, const char* doc, PyObject* base) {
        const py::object type = py::reinterpret_steal<py::object>(
            PyErr_NewExceptionWithDoc((module + "." + name).c_str(), doc, base, nullptr));
        if (!type) throw py::error_already_set();
        m.attr(name) = type;
        return type;
    };
    const py::object base =
        add("Error", "A failure; its class says of what kind, its text is for people.", PyExc_Exception);
    for (const auto& entry : kClasses)
        add(entry.name, entry.doc, base.ptr());
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
