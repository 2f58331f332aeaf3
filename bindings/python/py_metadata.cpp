// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <lxdcore/service/instance_metadata_service.hpp>
#include <lxdcore/service/metrics_service.hpp>

#include "bindings.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using H = Handle<InstanceMetadataService>;

void def_templates(py::class_<H>& type) {
    type.def(
            "templates",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.call([&](auto& s) { return s.templates({project, name}); });
            },
            py::arg("project"), py::arg("name"), "Names of templates.")
        .def(
            "read_template",
            [](const H& h, const std::string& project, const std::string& name, const std::string& file) {
                return py::bytes(h.call([&](auto& s) { return s.read_template({project, name}, file); }));
            },
            py::arg("project"), py::arg("name"), py::arg("template"), "One of them. Raises NotFoundError.")
        .def(
            "write_template",
            [](const H& h, const std::string& project, const std::string& name, const std::string& file,
               const py::bytes& content) {
                const std::string bytes = content;
                h.call([&](auto& s) { s.write_template({project, name}, file, bytes); });
            },
            py::arg("project"), py::arg("name"), py::arg("template"), py::arg("content"), "Makes or replaces one.")
        .def(
            "delete_template",
            [](const H& h, const std::string& project, const std::string& name, const std::string& file) {
                h.call([&](auto& s) { s.remove_template({project, name}, file); });
            },
            py::arg("project"), py::arg("name"), py::arg("template"), "Removes one.");
}

} // namespace

void init_metadata(py::module_& m) {
    py::class_<H> type{m, "InstanceMetadataService",
                       "What instances have of their images: metadata.yaml and templates; usable from any thread."};
    type.def(
            "get",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.metadata({project, name}); });
            },
            py::arg("project"), py::arg("name"), "The metadata.")
        .def(
            "set",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& metadata,
               const std::string& etag) {
                const auto put = from_python<api::ImageMetadata>(metadata);
                h.call([&](auto& s) { s.set_metadata({project, name}, put, etag); });
            },
            py::arg("project"), py::arg("name"), py::arg("metadata"), py::arg("etag") = "", "Replaces it.")
        .def(
            "patch",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& changes,
               const std::string& etag) {
                const auto patch = to_json(changes);
                h.call([&](auto& s) { s.patch_metadata({project, name}, patch, etag); });
            },
            py::arg("project"), py::arg("name"), py::arg("changes"), py::arg("etag") = "",
            "Changes what is named; properties and templates are added.");
    def_templates(type);
    using M = Handle<MetricsService>;
    py::class_<M>(m, "MetricsService", "Figures for Prometheus; usable from any thread.")
        .def(
            "metrics",
            [](const M& h, const std::vector<std::string>& projects) {
                return h.call([&](auto& s) { return s.metrics(projects); });
            },
            py::arg("projects"), "OpenMetrics text about the running instances of projects.");
}

} // namespace lxdcore::python
