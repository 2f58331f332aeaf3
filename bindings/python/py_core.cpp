// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <pybind11/stl/filesystem.h>

#include <lxdcore/core.hpp>

#include "bindings.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

/// A Core that `with` can let go of. Services share it: it ends with the last of them, so that none can dangle.
class PyCore {
public:
    PyCore(const std::filesystem::path& state_dir, const std::filesystem::path& helper) {
        CoreOptions options;
        options.state_dir = std::filesystem::absolute(state_dir);
        options.helper = helper;
        core_ = std::make_shared<Core>(std::move(options));
    }
    template <typename Service>
    std::shared_ptr<Service> service(Service& (Core::*get)() noexcept) {
        if (!core_) throw Error{ErrorCode::BadState, "Core is closed"};
        return {core_, &((*core_).*get)()};
    }
    void close() { core_.reset(); }

private:
    std::shared_ptr<Core> core_;
};

} // namespace

void init_core(py::module_& m) {
    const auto release = py::call_guard<py::gil_scoped_release>();
    py::class_<PyCore>(m, "Core", "A container manager on one state directory, in this process.")
        .def(py::init<const std::filesystem::path&, const std::filesystem::path&>(), py::arg("state_dir"),
             py::kw_only(), py::arg("helper") = std::filesystem::path{}, release)
        .def_property_readonly("instances", [](PyCore& c) { return c.service(&Core::instances); })
        .def_property_readonly("images", [](PyCore& c) { return c.service(&Core::images); })
        .def_property_readonly("profiles", [](PyCore& c) { return c.service(&Core::profiles); })
        .def_property_readonly("networks", [](PyCore& c) { return c.service(&Core::networks); })
        .def_property_readonly("storage", [](PyCore& c) { return c.service(&Core::storage); })
        .def("close", &PyCore::close, release,
             "Lets go of the state directory once no service of it is used any more; containers keep running.")
        .def("__enter__", [](py::object self) { return self; })
        .def("__exit__", [](PyCore& c, const py::args&) {
            const py::gil_scoped_release released;
            c.close();
        });
}

} // namespace lxdcore::python
