// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <lxdcore/operation.hpp>
#include <lxdcore/service/server_service.hpp>

#include "bindings.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

void init_server(py::module_& m) {
    using H = Handle<ServerService>;
    py::class_<H>(m, "ServerService", "Settings, trust store, projects; usable from any thread.")
        .def(
            "config", [](const H& h) { return h.call([](auto& s) { return s.config(); }); }, "The server's settings.")
        .def(
            "patch", [](const H& h, const api::StringMap& config) { h.call([&](auto& s) { s.patch(config, ""); }); },
            py::arg("config"), "Changes settings; '' unsets one.")
        .def(
            "environment", [](const H& h) { return h.fetch([](auto& s) { return s.environment(); }); },
            "What GET /1.0 tells about the server.")
        .def(
            "resources", [](const H& h) { return h.fetch([](auto& s) { return s.resources(); }); },
            "What the host has.")
        .def(
            "projects", [](const H& h) { return h.fetch([](auto& s) { return s.projects(); }); }, "All projects.")
        .def(
            "project",
            [](const H& h, const std::string& name) { return h.fetch([&](auto& s) { return s.project(name); }); },
            py::arg("name"), "One project. Raises NotFoundError.")
        .def(
            "certificates", [](const H& h) { return h.fetch([](auto& s) { return s.certificates(); }); },
            "The trust store.")
        .def(
            "add_certificate",
            [](const H& h, const py::dict& certificate) {
                const auto put = from_python<api::CertificatePut>(certificate);
                return h.fetch([&](auto& s) { return s.add_certificate(put, "unnamed"); });
            },
            py::arg("certificate"), "Trusts a client's certificate (PEM).")
        .def(
            "certificate",
            [](const H& h, const std::string& fingerprint) {
                return h.fetch([&](auto& s) { return s.certificate(fingerprint); });
            },
            py::arg("fingerprint"), "One of them, by its fingerprint or the beginning of it. Raises NotFoundError.")
        .def(
            "update_certificate",
            [](const H& h, const std::string& fingerprint, const py::dict& certificate, const std::string& etag) {
                const auto put = from_python<api::CertificatePut>(certificate);
                h.call([&](auto& s) { s.update_certificate(fingerprint, put, etag); });
            },
            py::arg("fingerprint"), py::arg("certificate"), py::arg("etag") = "", "Replaces what can be edited.")
        .def(
            "issue_token",
            [](const H& h, const py::dict& request) {
                const auto post = from_python<api::CertificatesPost>(request);
                return Handle<Operation>{h.call([&](auto& s) { return s.issue_token(post); })};
            },
            py::arg("request"), "An invitation into the trust store: the operation has what the token is made of.")
        .def(
            "remove_certificate",
            [](const H& h, const std::string& fingerprint) {
                h.call([&](auto& s) { s.remove_certificate(fingerprint); });
            },
            py::arg("fingerprint"), "Trusts it no more.");
    using O = Handle<OperationService>;
    py::class_<O>(m, "OperationService", "Operations; usable from any thread.")
        .def(
            "get",
            [](const O& o, const std::string& id) {
                return Handle<Operation>{o.call([&](auto& s) { return s.get(id, Caller{}); })};
            },
            py::arg("id"), "One operation. Raises NotFoundError.")
        .def(
            "list",
            [](const O& o, const std::string& project) {
                const auto all = o.call([&](auto& s) { return s.list(Caller{}, project); });
                py::list list;
                for (const auto& operation : all)
                    list.append(Handle<Operation>{operation});
                return list;
            },
            py::arg("project") = "", "Operations of a project, or all.");
}

} // namespace lxdcore::python
